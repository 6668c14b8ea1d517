import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.utils.JoinedRowData;

/**
 * The rows of a partition in their order, each with three columns more: why it is in no window, whether a row with its id and time came before, and how
 * many messages before it made no row. It remembers ids until their time is late, 16 bytes for each.
 *
 * <p>It passes on all but that the source is idle. Idle inputs hold no watermark back, so an operator of two inputs that become active again would take the
 * watermark of the first one before the other one's rows, which are late then: at a start with partitions without records, and after a pause of all nodes.
 */
final class Arrivals extends AbstractStreamOperator<RowData> implements OneInputStreamOperator<RowData, RowData> {
    private static final long serialVersionUID = 1;

    /** Repeats are looked for among the rows of ten seconds. */
    private static final long SPAN_MILLISECONDS = 10_000;

    private static final byte PARTITIONS = 0;
    private static final byte IDS = 1;

    private static final long AHEAD_MILLISECONDS = 60_000;
    private static final Set<StringData> DATASETS = Set.of(
        StringData.fromString("podnet.flow"), StringData.fromString("podnet.rest"), StringData.fromString("podnet.interval"), StringData.fromString("podnet.identity"));
    private static final StringData UNKNOWN_DATASET = StringData.fromString("unknown_dataset");
    private static final StringData INCOMPLETE = StringData.fromString("incomplete");
    private static final StringData AHEAD = StringData.fromString("ahead");
    private static final StringData LATE = StringData.fromString("late");

    private final int partition;
    private final int offset;
    private final int id;
    private final int time;
    private final int isUndated;
    private final int appended;
    private final int dataset;
    private final int node;

    private transient Map<Integer, Long> offsets;

    /**
     * What a checkpoint has of each partition: its offset, until a row comes to this task, and the watermark, until this run's has passed it. What was late then
     * is late still, since its ids are forgotten.
     */
    private transient Map<Integer, Restored> restored;
    private transient TreeMap<Long, Ids> spans;
    private transient GenericRowData added;
    private transient JoinedRowData joined;
    private transient StreamRecord<RowData> result;
    private transient ListState<byte[]> state;
    private transient long watermark;

    /** Of rows with these columns. */
    Arrivals(List<String> columns) {
        partition = columns.indexOf("partition");
        offset = columns.indexOf("offset");
        id = columns.indexOf("id");
        time = columns.indexOf("time");
        isUndated = columns.indexOf("is_undated");
        appended = columns.indexOf("appended");
        dataset = columns.indexOf("dataset");
        node = columns.indexOf("node");
    }

    @Override
    public void open() throws Exception {
        super.open();
        added = new GenericRowData(3);
        joined = new JoinedRowData();
        result = new StreamRecord<>(joined);
    }

    @Override
    public void processElement(StreamRecord<RowData> element) {
        var row = element.getValue();
        var skipped = skip(row.getInt(partition), row.getLong(offset));
        var at = row.getTimestamp(time, 3).getMillisecond();
        var leftOut = judge(row, at);
        added.setField(0, leftOut);
        added.setField(1, leftOut == null && isRepeat(row, at));
        added.setField(2, skipped);
        joined.replace(row, added);
        joined.setRowKind(row.getRowKind());
        output.collect(result.replace(joined, element.getTimestamp()));
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        watermark = mark.getTimestamp();
        while (!spans.isEmpty() && (spans.firstKey() + 1) * SPAN_MILLISECONDS <= watermark) {
            spans.pollFirstEntry();
        }
        restored.entrySet().removeIf(entry -> offsets.containsKey(entry.getKey()) && entry.getValue().watermark <= watermark);
        super.processWatermark(mark);
    }

    @Override
    public void processWatermarkStatus(WatermarkStatus status) {
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        watermark = Long.MIN_VALUE;
        offsets = new HashMap<>();
        restored = new HashMap<>();
        spans = new TreeMap<>();
        // Each task gets all of it: partitions may be read by others than before.
        state = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>("arrivals", BytePrimitiveArraySerializer.INSTANCE));
        for (var part : state.get()) {
            restore(ByteBuffer.wrap(part));
        }
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        state.clear();
        var partitions = new HashMap<>(restored);
        offsets.forEach((number, last) -> partitions.put(number, new Restored(last, watermarkOf(number))));
        var known = ByteBuffer.allocate(1 + partitions.size() * (Integer.BYTES + 2 * Long.BYTES)).put(PARTITIONS);
        partitions.forEach((number, last) -> known.putInt(number).putLong(last.offset).putLong(last.watermark));
        state.add(known.array());
        for (var span : spans.entrySet()) {
            state.add(span.getValue().write(ByteBuffer.allocate(1 + Long.BYTES + span.getValue().bytes()).put(IDS).putLong(span.getKey())).array());
        }
    }

    private void restore(ByteBuffer part) {
        if (part.get() == PARTITIONS) {
            while (part.hasRemaining()) {
                restored.merge(part.getInt(), new Restored(part.getLong(), part.getLong()), Restored::later);
            }
            return;
        }
        var ids = spans.computeIfAbsent(part.getLong(), ignored -> new Ids());
        while (part.hasRemaining()) {
            ids.add(part.getLong(), part.getLong());
        }
    }

    /** How many messages there are between the partition's last row and this one. */
    private long skip(int number, long now) {
        var before = offsets.put(number, now);
        if (before == null) {
            var known = restored.get(number);
            before = known == null ? now - 1 : known.offset;
        }
        return now - before - 1;
    }

    /** Why the row is in no window; null: it is in one. */
    private StringData judge(RowData row, long at) {
        if (!row.isNullAt(dataset) && !DATASETS.contains(row.getString(dataset))) {
            return UNKNOWN_DATASET;
        }
        if (row.getBoolean(isUndated) || row.isNullAt(id) || row.isNullAt(dataset) || row.isNullAt(node)) {
            return INCOMPLETE;
        }
        if (at > row.getTimestamp(appended, 3).getMillisecond() + AHEAD_MILLISECONDS) {
            return AHEAD;
        }
        return at <= watermarkOf(row.getInt(partition)) ? LATE : null;
    }

    /** The latest time of which a row of the partition is late. */
    private long watermarkOf(int number) {
        var before = restored.isEmpty() ? null : restored.get(number);
        return before == null ? watermark : Math.max(watermark, before.watermark);
    }

    private boolean isRepeat(RowData row, long at) {
        var text = row.getString(id).toBytes();
        return !spans.computeIfAbsent(Math.floorDiv(at, SPAN_MILLISECONDS), ignored -> new Ids()).add(hash(text, 0xcbf29ce484222325L), hash(text, 0x9e3779b97f4a7c15L));
    }

    /** One half of the 128 bits that stand for an id. Multiplies and folds each byte in, and mixes at the end as splitmix64 does. */
    private static long hash(byte[] text, long seed) {
        var hash = seed;
        for (var letter : text) {
            hash = (hash ^ letter) * (seed | 1);
            hash ^= hash >>> 29;
        }
        hash = (hash ^ (hash >>> 30)) * 0xbf58476d1ce4e5b9L;
        hash = (hash ^ (hash >>> 27)) * 0x94d049bb133111ebL;
        return hash ^ (hash >>> 31);
    }

    /** Of one partition in a checkpoint. A task that did not read it has an earlier one's. */
    private record Restored(long offset, long watermark) {
        static Restored later(Restored one, Restored other) {
            return one.offset >= other.offset ? one : other;
        }
    }

    /** A set of pairs of 64 bits, in one array without objects: two places for each, at most half of them used. Both zero is an empty place. */
    private static final class Ids {
        private long[] places = new long[2 * 1024];
        private int count;

        /** Whether it was not there. */
        boolean add(long high, long low) {
            if (4 * (count + 1) > places.length) {
                grow();
            }
            if (!put(high == 0 && low == 0 ? 1 : high, low)) {
                return false;
            }
            count++;
            return true;
        }

        int bytes() {
            return count * 2 * Long.BYTES;
        }

        ByteBuffer write(ByteBuffer buffer) {
            for (var place = 0; place < places.length; place += 2) {
                if (places[place] != 0 || places[place + 1] != 0) {
                    buffer.putLong(places[place]).putLong(places[place + 1]);
                }
            }
            return buffer;
        }

        private boolean put(long high, long low) {
            var mask = places.length - 1;
            for (var place = (int) (low << 1) & mask; ; place = (place + 2) & mask) {
                if (places[place] == 0 && places[place + 1] == 0) {
                    places[place] = high;
                    places[place + 1] = low;
                    return true;
                }
                if (places[place] == high && places[place + 1] == low) {
                    return false;
                }
            }
        }

        private void grow() {
            var before = places;
            places = new long[2 * before.length];
            for (var place = 0; place < before.length; place += 2) {
                if (before[place] != 0 || before[place + 1] != 0) {
                    put(before[place], before[place + 1]);
                }
            }
        }
    }
}
