import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.Admin;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.NewTopic;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.KafkaException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.config.ConfigResource;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.errors.AuthorizationException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.errors.TopicExistsException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.LocalStreamEnvironment;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;

/**
 * Runs the files of SQL beside it as one job. The first argument is their directory, the others are those of the script run: in a Flink cluster the job
 * goes there, elsewhere it runs in this process.
 */
public final class RunSql {
    private static final List<String> FILES = List.of("fresh.sql", "completeness.sql", "matrix.sql", "detections.sql", "sinks.sql");
    private static final String SOURCE = "source.sql";
    /** What a script has in place of the operator. */
    private static final String SCRIPT = "script.sql";
    private static final String USAGE = """
        jobs/flink/run --brokers=HOST:PORT,... [--flows=podnet.flows] [--detections=podnet.detections] [--matrix=podnet.matrix] [--counts=podnet.counts]
            [--bounded] [--learn=60m] [--lateness=2m] [--allow=FILE] [--threshold=NAME=VALUE ...] [--checkpoints=DIR] [--restore=DIR]
            [--properties=FILE] [--engines=DIR] [--print]
        """;

    public static void main(String[] typed) throws Exception {
        var exitCode = run(Path.of(typed[0]), List.of(typed).subList(1, typed.length));
        if (exitCode != 0 || isLocal()) {
            System.exit(exitCode);
        }
    }

    /** Whether the job runs in this process. In a cluster, this process is the cluster's. */
    private static boolean isLocal() {
        return StreamExecutionEnvironment.getExecutionEnvironment() instanceof LocalStreamEnvironment;
    }

    private static int run(Path directory, List<String> typed) throws Exception {
        if (typed.contains("--help")) {
            System.out.print(USAGE);
            return 0;
        }
        var arguments = new Arguments(directory, typed);
        if (!arguments.errors.isEmpty()) {
            arguments.errors.forEach(System.err::println);
            return 2;
        }
        String whole;
        try (var topics = new Topics(arguments)) {
            whole = topics.prepare();
        } catch (Topics.Unusable e) {
            System.err.println(e.getMessage());
            return 1;
        }
        var parameters = arguments.parameters(whole);
        var settings = arguments.settings(isLocal() && !arguments.has("print"));
        if (arguments.has("print")) {
            print(settings, statements(directory, Stream.concat(Stream.of(SOURCE, SCRIPT), FILES.stream()), parameters));
            return 0;
        }
        // Of the environment's own configuration: a SET would come too late for checkpoints.
        var configuration = Configuration.fromMap(settings);
        var environment = StreamTableEnvironment.create(
            StreamExecutionEnvironment.getExecutionEnvironment(configuration), EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        statements(directory, Stream.of(SOURCE), parameters).forEach(environment::executeSql);
        createArrivals(environment);
        var inserts = environment.createStatementSet();
        for (var statement : statements(directory, FILES.stream(), parameters)) {
            if (statement.startsWith("INSERT")) {
                inserts.addInsertSql(statement);
            } else {
                environment.executeSql(statement);
            }
        }
        inserts.execute().await();
        return 0;
    }

    /** The views of script.sql that others use, by an operator, which has the rows of each partition in their order. */
    private static void createArrivals(StreamTableEnvironment environment) {
        var read = environment.from("read");
        var type = read.getResolvedSchema().toPhysicalRowDataType();
        var names = read.getResolvedSchema().getColumnNames();
        var partition = names.indexOf("partition");
        DataStream<RowData> rows = environment.toDataStream(read, type.bridgedTo(RowData.class));
        var fields = new ArrayList<>(DataType.getFields(type));
        fields.add(DataTypes.FIELD("left_out", DataTypes.STRING()));
        fields.add(DataTypes.FIELD("is_repeat", DataTypes.BOOLEAN()));
        fields.add(DataTypes.FIELD("skipped", DataTypes.BIGINT()));
        var whole = DataTypes.ROW(fields);
        var arrivals = rows.partitionCustom((number, tasks) -> number % tasks, row -> row.getInt(partition))
            .transform("arrivals", InternalTypeInfo.of(whole.getLogicalType()), new Arrivals(names));
        environment.createTemporaryView("arrivals", arrivals, Schema.newBuilder().fromRowDataType(whole).watermark("time", "SOURCE_WATERMARK()").build());
        environment.executeSql("CREATE VIEW `once` AS SELECT `time` AS `at`, * FROM `arrivals` WHERE `left_out` IS NULL AND NOT `is_repeat`");
    }

    /** The statements of these files, with values in place of the parameters. */
    private static List<String> statements(Path directory, Stream<String> files, Map<String, String> parameters) throws IOException {
        var parameter = Pattern.compile("\\$\\{([a-z_.]+)}");
        var statements = new ArrayList<String>();
        for (var file : files.toList()) {
            var text = Files.readString(directory.resolve(file)).replaceAll("(?m)^\\s*--.*\\R", "");
            text = parameter.matcher(text).replaceAll(found -> Matcher.quoteReplacement(parameters.get(found.group(1))));
            Stream.of(text.split(";\\s*(\\R|$)")).map(String::strip).filter(statement -> !statement.isEmpty()).forEach(statements::add);
        }
        return statements;
    }

    private static String literal(String text) {
        return "'" + text.replace("'", "''") + "'";
    }

    /** Writes a script for the SQL client or gateway. */
    private static void print(Map<String, String> settings, List<String> statements) {
        settings.forEach((name, value) -> System.out.printf("SET %s = %s;%n", literal(name), literal(value)));
        System.out.println();
        statements.stream().filter(statement -> !statement.startsWith("INSERT")).forEach(statement -> System.out.println(statement + ";\n"));
        System.out.println("EXECUTE STATEMENT SET\nBEGIN\n");
        statements.stream().filter(statement -> statement.startsWith("INSERT")).forEach(statement -> System.out.println(statement + ";\n"));
        System.out.println("END;");
    }

    /** A problem with a value; its text follows the argument's name. */
    private static final class Wrong extends RuntimeException {
        Wrong(String message) {
            super(message);
        }
    }

    /** The arguments, with all that is wrong with them. */
    private static final class Arguments {
        private static final Set<String> SWITCHES = Set.of("bounded", "print");
        private static final List<String> NAMES = List.of("brokers", "flows", "detections", "matrix", "counts", "bounded", "learn", "lateness", "allow", "threshold", "checkpoints", "restore", "properties", "engines", "print");

        final List<String> errors = new ArrayList<>();
        final Map<String, String> thresholds;
        final String brokers;
        final String flows;
        final String detections;
        final String matrix;
        final String counts;
        final Duration learn;
        final Duration lateness;
        final String allowed;
        final Path checkpoints;
        final Path restore;
        final Map<String, String> properties;
        private final Map<String, List<String>> typed = new HashMap<>();

        Arguments(Path directory, List<String> words) throws IOException {
            for (var i = 0; i < words.size(); i++) {
                var parts = words.get(i).split("=", 2);
                var name = parts[0].startsWith("--") ? parts[0].substring(2) : "";
                if (!NAMES.contains(name)) {
                    errors.add("'%s' is not an argument. They are: --%s.".formatted(words.get(i), String.join(", --", NAMES)));
                    continue;
                }
                String value = "";
                if (parts.length == 2) {
                    value = parts[1];
                } else if (!SWITCHES.contains(name) && i + 1 < words.size() && !words.get(i + 1).startsWith("--")) {
                    value = words.get(++i);
                }
                if (SWITCHES.contains(name) && parts.length == 2) {
                    errors.add("--%s: takes no value, but has '%s'.".formatted(name, value));
                } else if (!SWITCHES.contains(name) && value.isEmpty()) {
                    errors.add("--%s: has no value. Write --%s=VALUE.".formatted(name, name));
                } else if (typed.containsKey(name) && !name.equals("threshold")) {
                    errors.add("--%s: is there twice.".formatted(name));
                }
                typed.computeIfAbsent(name, ignored -> new ArrayList<>()).add(value);
            }
            brokers = read("brokers", null, Arguments::addresses);
            flows = read("flows", "podnet.flows", Arguments::topic);
            detections = read("detections", "podnet.detections", Arguments::topic);
            matrix = read("matrix", "podnet.matrix", Arguments::topic);
            counts = read("counts", "podnet.counts", Arguments::topic);
            if (Stream.of(flows, detections, matrix, counts).distinct().count() < 4 && errors.isEmpty()) {
                errors.add("--flows, --detections, --matrix, --counts: each is to be another topic.");
            }
            learn = read("learn", "60m", text -> duration(text, Duration.ZERO, Duration.ofDays(30)));
            lateness = read("lateness", "2m", text -> duration(text, Duration.ofSeconds(1), Duration.ofDays(1)));
            allowed = read("allow", null, Allowances::read);
            checkpoints = read("checkpoints", null, Arguments::folder);
            restore = read("restore", null, Arguments::checkpoint);
            properties = Optional.ofNullable(read("properties", null, Arguments::properties)).orElse(Map.of());
            thresholds = properties(directory.resolve("thresholds").toString());
            for (var threshold : typed.getOrDefault("threshold", List.of())) {
                setThreshold(threshold);
            }
            if (!typed.containsKey("brokers")) {
                errors.add("--brokers: is missing. Write --brokers=HOST:PORT.");
            }
        }

        boolean has(String name) {
            return typed.containsKey(name);
        }

        /** The values of the parameters in the files. */
        Map<String, String> parameters(String whole) {
            var parameters = new HashMap<>(thresholds);
            parameters.put("brokers", brokers);
            parameters.put("flows", flows);
            parameters.put("detections", detections);
            parameters.put("matrix", matrix);
            parameters.put("counts", counts);
            parameters.put("group", "podnet-flink-" + detections);
            parameters.put("properties", properties.entrySet().stream()
                .map(property -> "%n  %s = %s,".formatted(literal("properties." + property.getKey()), literal(property.getValue()))).collect(Collectors.joining()));
            // Partitions that are kept in step need less memory. The source of Flink 2.3 fails when it is to hold back one that is at its end.
            parameters.put("reading", has("bounded") ? "  'scan.bounded.mode' = 'latest-offset'" : """
                  'scan.watermark.alignment.group' = 'podnet',
                  'scan.watermark.alignment.max-drift' = '1 min',
                  'scan.watermark.alignment.update-interval' = '200 ms'""");
            // A millisecond more: a window is over at a watermark that is its last millisecond.
            parameters.put("lateness", interval(lateness.plusMillis(1)));
            parameters.put("learn", interval(learn));
            parameters.put("allowed", allowed == null ? "FALSE" : allowed);
            parameters.put("whole", whole);
            parameters.put("time", "yyyy-MM-dd''T''HH:mm:ss.SSS''Z''");
            parameters.put("hour", "yyyy-MM-dd''T''HH:00:00.000''Z''");
            return parameters;
        }

        /** The configuration of the job. */
        Map<String, String> settings(boolean isLocal) throws IOException {
            var settings = new LinkedHashMap<String, String>();
            settings.put("pipeline.name", "podnet: " + flows);
            settings.put("table.local-time-zone", "UTC");
            // Views that several results read are planned, and computed, once.
            settings.put("table.optimizer.reuse-optimize-block-with-digest-enabled", "true");
            // Rows go from operator to operator without copies, which took half of the time of the source.
            settings.put("pipeline.object-reuse", "true");
            // A partition without records holds the others' windows back for so long; shorter than an outage, and the first partition to be read again would make the others' late.
            settings.put("table.exec.source.idle-timeout", Math.max(20, lateness.toSeconds()) + " s");
            // A contact or address that is not seen for so long is new again.
            settings.put("table.exec.state.ttl", "8 d");
            if (isLocal || checkpoints != null) {
                settings.put("execution.checkpointing.interval", "10 s");
                settings.put("execution.checkpointing.dir", (checkpoints != null ? checkpoints : temporary()).toUri().toString());
                settings.put("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
            }
            if (restore != null) {
                settings.put("execution.state-recovery.path", restore.toUri().toString());
            }
            if (isLocal) {
                // Its web interface takes programs from anyone.
                settings.put("jobmanager.bind-host", "127.0.0.1");
                settings.put("rest.bind-address", "127.0.0.1");
                settings.put("rest.address", "127.0.0.1");
            }
            return settings;
        }

        /** A directory for the checkpoints of a job that is never restored. */
        private static Path temporary() throws IOException {
            var directory = Files.createTempDirectory("podnet-flink-");
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                try (var files = Files.walk(directory)) {
                    files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
                } catch (IOException e) {
                    System.err.println(directory + " is left: " + e.getMessage());
                }
            }));
            return directory;
        }

        private <T> T read(String name, String otherwise, Function<String, T> parse) {
            var value = typed.containsKey(name) ? typed.get(name).get(0) : otherwise;
            try {
                return value == null || value.isEmpty() ? null : parse.apply(value);
            } catch (Wrong e) {
                errors.add("--%s: %s".formatted(name, e.getMessage()));
                return null;
            }
        }

        private void setThreshold(String text) {
            var parts = text.split("=", 2);
            if (!thresholds.containsKey(parts[0])) {
                errors.add("--threshold: '%s' is not a threshold. They are: %s.".formatted(parts[0], String.join(", ", thresholds.keySet())));
            } else if (parts.length < 2 || !parts[1].matches("[0-9]{1,15}(\\.[0-9]{1,3})?")) {
                errors.add("--threshold: '%s' has no number. Write --threshold=%s=%s.".formatted(text, parts[0], thresholds.get(parts[0])));
            } else {
                thresholds.put(parts[0], parts[1]);
            }
        }

        private static String addresses(String text) {
            for (var address : text.split(",", -1)) {
                var found = Pattern.compile("(\\[[0-9A-Fa-f:.]+]|[A-Za-z0-9._-]+):([0-9]{1,5})").matcher(address);
                if (!found.matches() || !isPort(found.group(2))) {
                    throw new Wrong("'%s' is not HOST:PORT.".formatted(address));
                }
            }
            return text;
        }

        static boolean isPort(String text) {
            return text.matches("[0-9]{1,5}") && Integer.parseInt(text) >= 1 && Integer.parseInt(text) <= 65535;
        }

        private static String topic(String text) {
            if (!text.matches("[A-Za-z0-9._-]{1,249}") || text.equals(".") || text.equals("..")) {
                throw new Wrong("'%s' is not a topic's name: letters, digits, '.', '_' and '-', at most 249.".formatted(text));
            }
            return text;
        }

        private static Duration duration(String text, Duration least, Duration most) {
            var found = Pattern.compile("([0-9]{1,6})(s|m|h|d)").matcher(text);
            if (!found.matches()) {
                throw new Wrong("'%s' is not a duration such as 10s, 2m or 1h.".formatted(text));
            }
            var number = Long.parseLong(found.group(1));
            var duration = switch (found.group(2)) {
                case "s" -> Duration.ofSeconds(number);
                case "m" -> Duration.ofMinutes(number);
                case "h" -> Duration.ofHours(number);
                default -> Duration.ofDays(number);
            };
            if (duration.compareTo(least) < 0 || duration.compareTo(most) > 0) {
                throw new Wrong("%s is not between %d s and %d h.".formatted(text, least.toSeconds(), most.toHours()));
            }
            return duration;
        }

        /** A literal of SQL: one in SECOND has two digits at most. */
        private static String interval(Duration duration) {
            return "INTERVAL '%d %02d:%02d:%02d.%03d' DAY TO SECOND(3)".formatted(
                duration.toDays(), duration.toHoursPart(), duration.toMinutesPart(), duration.toSecondsPart(), duration.toMillisPart());
        }

        private static Path folder(String text) {
            var path = path(text);
            try {
                return Files.createDirectories(path);
            } catch (IOException e) {
                throw new Wrong("%s is not a directory, and cannot be made one: %s.".formatted(text, e));
            }
        }

        /** The last checkpoint that is in a directory, or is it. */
        private static Path checkpoint(String text) {
            var path = path(text);
            try (var files = Files.isDirectory(path) ? Files.walk(path, 3) : Stream.<Path>empty()) {
                return files.filter(file -> file.getFileName().toString().equals("_metadata"))
                    .max(Comparator.comparingLong(file -> file.toFile().lastModified()))
                    .orElseThrow(() -> new Wrong("there is no checkpoint in %s.".formatted(text)))
                    .getParent();
            } catch (IOException e) {
                throw new Wrong("%s cannot be read: %s.".formatted(text, e));
            } catch (UncheckedIOException e) {
                // Of a directory in it.
                throw new Wrong("%s cannot be read: %s.".formatted(text, e.getCause()));
            }
        }

        private static Path path(String text) {
            try {
                return Path.of(text).toAbsolutePath().normalize();
            } catch (InvalidPathException e) {
                throw new Wrong("'%s' is not a path: %s.".formatted(text, e.getReason()));
            }
        }

        private static Map<String, String> properties(String file) {
            var properties = new Properties();
            try (var reader = Files.newBufferedReader(path(file))) {
                properties.load(reader);
            } catch (IOException | IllegalArgumentException e) {
                throw new Wrong("%s cannot be read: %s.".formatted(file, e));
            }
            return new TreeMap<>(properties.stringPropertyNames().stream().collect(Collectors.toMap(Function.identity(), name -> properties.getProperty(name).strip())));
        }
    }

    /** What is not to be reported: lines of a rule or *, and a workload, an address or a port, which its kind may precede. The Spark job reads the same file. */
    private static final class Allowances {
        private static final Set<String> RULES = Set.of("*", "port_scan", "host_scan", "slow_scan", "syn_flood", "exfiltration", "first_contact", "beacon");
        private static final Set<String> WITHOUT_ENDS = Set.of("gap", "clock");
        private static final Set<String> KINDS = Set.of("workload", "address", "port");
        private static final Pattern PORT = Pattern.compile("(?:(tcp|udp)/)?([0-9]+)");
        private static final Pattern WORKLOAD = Pattern.compile("([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)");
        private static final Pattern ADDRESS = Pattern.compile("(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\\.(?!$)|$)){4}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*");

        /** The condition that is true of a detection that a file allows; null: there is none. */
        static String read(String file) {
            List<String> lines;
            try {
                lines = Files.readAllLines(Path.of(file));
            } catch (IOException | InvalidPathException e) {
                throw new Wrong("%s cannot be read: %s.".formatted(file, e));
            }
            var conditions = new ArrayList<String>();
            for (var i = 0; i < lines.size(); i++) {
                var line = lines.get(i).replaceFirst("#.*", "").strip();
                if (!line.isEmpty()) {
                    conditions.add(condition("%s, line %d".formatted(file, i + 1), line.split("\\s+")));
                }
            }
            return conditions.isEmpty() ? null : String.join("\n    OR ", conditions);
        }

        private static String condition(String place, String[] words) {
            if (words.length < 2 || words.length > 3 || words.length == 3 && !KINDS.contains(words[1])) {
                throw new Wrong("%s: '%s' is not a rule, or *, and a workload, address or port. Write it as 'port_scan security/scanner' or 'port_scan workload security/scanner'.".formatted(place, String.join(" ", words)));
            }
            if (WITHOUT_ENDS.contains(words[0])) {
                throw new Wrong("%s: a %s has a node and no workload, address or port, so no line can except it. Remove the line.".formatted(place, words[0]));
            }
            if (!RULES.contains(words[0])) {
                throw new Wrong("%s: '%s' is not a rule. They are %s.".formatted(place, words[0], String.join(", ", RULES.stream().sorted().toList())));
            }
            var value = words[words.length - 1];
            var end = end(words.length == 3 ? words[1] : kindOf(value), value);
            if (end == null) {
                throw new Wrong("%s: '%s' is not %s.".formatted(place, value, words.length == 3 ? "a" + (words[1].startsWith("a") ? "n " : " ") + words[1] : "a workload (NAMESPACE/NAME), an address, or a port (22, tcp/22)"));
            }
            return words[0].equals("*") ? "(%s)".formatted(end) : "`rule` = '%s' AND (%s)".formatted(words[0], end);
        }

        private static String kindOf(String value) {
            return PORT.matcher(value).matches() ? "port" : WORKLOAD.matcher(value).matches() ? "workload" : "address";
        }

        /** The condition that one end of a detection is so; null: the value is not of the kind. */
        private static String end(String kind, String value) {
            if (kind.equals("port")) {
                var port = PORT.matcher(value);
                // A first contact alone may be of another protocol than TCP.
                return !port.matches() || !Arguments.isPort(port.group(2)) ? null
                    : "`destination_port` = %s%s".formatted(port.group(2), "udp".equals(port.group(1)) ? " AND `rule` = 'first_contact'" : "");
            }
            if (kind.equals("workload")) {
                var workload = WORKLOAD.matcher(value);
                return !workload.matches() ? null : Stream.of("source", "destination")
                    .map(side -> "`%s_namespace` = '%s' AND `%1$s_workload` = '%s'".formatted(side, workload.group(1), workload.group(2))).collect(Collectors.joining(" OR "));
            }
            var address = address(value);
            return address == null ? null : "`source_ip` = '%s' OR `destination_ip` = '%1$s'".formatted(address);
        }

        /** An address as records have it; null: it is not one. */
        private static String address(String text) {
            try {
                // With a colon it is never looked up as a name.
                return !ADDRESS.matcher(text).matches() ? null : text.contains(":") ? shorten(InetAddress.getByName(text)) : text;
            } catch (UnknownHostException e) {
                return null;
            }
        }

        /** With "::" in place of the first of the longest runs of groups that are zero. */
        private static String shorten(InetAddress address) {
            var text = address.getHostAddress();
            return Pattern.compile("(?:^|:)0(?::0)+(?::|$)").matcher(text).results().map(MatchResult::group).max(Comparator.comparingLong(zeros -> zeros.chars().filter(letter -> letter == '0').count()))
                .map(zeros -> text.replaceFirst(Pattern.quote(zeros), "::")).orElse(text);
        }
    }

    /** The topics, before the job begins. */
    private static final class Topics implements AutoCloseable {
        private static final Duration LIMIT = Duration.ofSeconds(30);
        /** As the views have times that are texts. */
        private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

        private final Arguments arguments;
        private final Properties client = new Properties();
        private final Admin admin;

        /** The topics are not as the job needs them. */
        static final class Unusable extends Exception {
            Unusable(String message) {
                super(message);
            }
        }

        Topics(Arguments arguments) throws Unusable {
            this.arguments = arguments;
            client.putAll(arguments.properties);
            client.put("bootstrap.servers", arguments.brokers);
            client.put("default.api.timeout.ms", String.valueOf(LIMIT.toMillis()));
            client.put("request.timeout.ms", String.valueOf(LIMIT.toMillis() / 3));
            try {
                admin = Admin.create(client);
            } catch (KafkaException e) {
                throw new Unusable("--brokers: %s: %s".formatted(arguments.brokers, reason(e)));
            }
        }

        /**
         * Looks at the topic of records, and makes the topics of results that are missing.
         *
         * @return the condition of intervals that are wholly in the topic
         */
        String prepare() throws Unusable, InterruptedException {
            try {
                var description = admin.describeTopics(List.of(arguments.flows)).allTopicNames().get().get(arguments.flows);
                warnOfClientTimes();
                makeMissing(arguments.detections, Map.of());
                makeMissing(arguments.matrix, Map.of());
                makeMissing(arguments.counts, Map.of("cleanup.policy", "compact"));
                return whole(description.partitions().stream().map(partition -> new TopicPartition(arguments.flows, partition.partition())).toList());
            } catch (ExecutionException e) {
                throw new Unusable(e.getCause() instanceof UnknownTopicOrPartitionException
                    ? "--flows: there is no topic %s at %s. podnet-exporter flows install --to=kafka makes it.".formatted(arguments.flows, arguments.brokers)
                    : "--brokers: %s: %s".formatted(arguments.brokers, reason(e.getCause())));
            } catch (KafkaException e) {
                throw new Unusable("--brokers: %s: %s".formatted(arguments.brokers, reason(e)));
            }
        }

        /** A user who may not see the topic's configuration can do without the warning. */
        private void warnOfClientTimes() throws ExecutionException, InterruptedException {
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, arguments.flows);
            String kind;
            try {
                kind = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("message.timestamp.type").value();
            } catch (ExecutionException e) {
                if (e.getCause() instanceof AuthorizationException) {
                    return;
                }
                throw e;
            }
            if (!kind.equals("LogAppendTime")) {
                System.err.printf("warning: %s has message.timestamp.type=%s. With LogAppendTime a node whose clock is ahead makes no other node's records late: podnet-exporter flows install --to=kafka sets it.%n", arguments.flows, kind);
            }
        }

        /** A topic that is there needs no right to make it. */
        private void makeMissing(String topic, Map<String, String> configuration) throws ExecutionException, InterruptedException {
            try {
                admin.describeTopics(List.of(topic)).allTopicNames().get();
                return;
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw e;
                }
            }
            try {
                admin.createTopics(List.of(new NewTopic(topic, Optional.empty(), Optional.empty()).configs(configuration))).all().get();
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof TopicExistsException)) {
                    throw e;
                }
            }
        }

        /** Where the broker has deleted the beginning of a partition, an interval's records may be in the part that is gone. */
        private String whole(Collection<TopicPartition> partitions) throws ExecutionException, InterruptedException {
            var begins = admin.listOffsets(partitions.stream().collect(Collectors.toMap(Function.identity(), ignored -> OffsetSpec.earliest()))).all().get();
            var ends = admin.listOffsets(partitions.stream().collect(Collectors.toMap(Function.identity(), ignored -> OffsetSpec.latest()))).all().get();
            var first = 0L;
            for (var partition : partitions) {
                if (begins.get(partition).offset() > 0 && begins.get(partition).offset() < ends.get(partition).offset()) {
                    first = Math.max(first, timeOf(partition, begins.get(partition).offset()));
                }
            }
            return first == 0 ? "" : "\n  AND `end` > '%s'".formatted(TIME.format(Instant.ofEpochMilli(first).plus(arguments.lateness)));
        }

        private long timeOf(TopicPartition partition, long offset) {
            try (var consumer = new KafkaConsumer<>(client, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                consumer.assign(List.of(partition));
                consumer.seek(partition, offset);
                return consumer.poll(LIMIT).records(partition).stream().findFirst().map(record -> record.timestamp()).orElse(0L);
            }
        }

        private static String reason(Throwable error) {
            return error.getCause() == null ? error.getMessage() : error.getMessage() + " " + error.getCause().getMessage();
        }

        @Override
        public void close() {
            admin.close(Duration.ZERO);
        }
    }
}
