import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;

/**
 * Runs a connector as Kafka Connect would: Debezium's embedded engine with the converters of the configuration, and a producer behind
 * them. The records of a topic go to a topic of the same name with a suffix, so that they can be laid beside others.
 *
 * <p>Arguments: the connector's properties, the brokers, the suffix. Says "capturing" once the engine reads the binary log; ends when its
 * input does.
 */
public final class Relay {
    public static void main(String[] arguments) throws Exception {
        Properties connector = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[0]))) {
            connector.load(file);
        }
        String suffix = arguments[2];
        Converter keys = converter(connector, "key.converter", true);
        Converter values = converter(connector, "value.converter", false);
        HeaderConverter headers = (HeaderConverter) Class.forName(connector.getProperty("header.converter"))
                .getDeclaredConstructor()
                .newInstance();
        headers.configure(Map.of("converter.type", "header"));

        Map<String, Object> client = Map.of("bootstrap.servers", arguments[1], "acks", "all", "linger.ms", "0");
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer())) {
            DebeziumEngine<RecordChangeEvent<SourceRecord>> engine = DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                    .using(connector)
                    .using(new DebeziumEngine.ConnectorCallback() {
                        @Override
                        public void taskStarted() {
                            System.out.println("capturing");
                        }
                    })
                    .using((success, message, error) -> {
                        if (!success) {
                            System.err.println(message);
                            if (error != null) {
                                error.printStackTrace();
                            }
                            System.exit(1);
                        }
                    })
                    .notifying(change -> {
                        SourceRecord record = change.record();
                        String topic = record.topic();
                        byte[] key = keys.fromConnectData(topic, record.keySchema(), record.key());
                        byte[] value = values.fromConnectData(topic, record.valueSchema(), record.value());
                        ProducerRecord<byte[], byte[]> produced = new ProducerRecord<>(topic + suffix, key, value);
                        record.headers().forEach(header -> produced.headers()
                                .add(header.key(), headers.fromConnectHeader(topic, header.key(), header.schema(), header.value())));
                        producer.send(produced, (written, error) -> {
                            if (error != null) {
                                error.printStackTrace();
                                System.exit(1);
                            }
                        });
                    })
                    .build();
            ExecutorService thread = Executors.newSingleThreadExecutor();
            thread.execute(engine);
            while (System.in.read() != -1) {
                // Until whoever started this lets go.
            }
            engine.close();
            thread.shutdown();
        }
        System.exit(0);
    }

    private static Converter converter(Properties connector, String name, boolean isKey) throws Exception {
        Converter converter = (Converter) Class.forName(connector.getProperty(name)).getDeclaredConstructor().newInstance();
        converter.configure(Map.of(), isKey);
        return converter;
    }
}
