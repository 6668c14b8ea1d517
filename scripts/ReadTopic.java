import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Prints the values of a topic from its beginning on, a line each, until it is ended: java -cp 'FOLDER/*' ReadTopic.java BROKERS TOPIC. Of transactions only what is committed. */
public final class ReadTopic {
    public static void main(String[] arguments) {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "isolation.level", "read_committed");
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            var partitions = consumer.partitionsFor(arguments[1]).stream().map(partition -> new TopicPartition(partition.topic(), partition.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (true) {
                for (var message : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(new String(message.value(), StandardCharsets.UTF_8));
                }
                System.out.flush();
            }
        }
    }
}
