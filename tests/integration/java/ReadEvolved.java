import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.SchemaCompatibilityType;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericEnumSymbol;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads records as their other side's schema sees them, with Apache Avro: ReadEvolved BROKERS REGISTRY TOPIC COUNT MATRIX
 *
 * <p>Each record's key is the position of its row in MATRIX and of its case in that row, as "3/1". The writer's schema comes from the
 * registry, the reader's is the row's other one. Prints a line of JSON for each record: {"key": ..., "read": ...} or
 * {"key": ..., "refused": reason}, and in "compatible" whether Avro says that the reader's schema can read whatever the writer's writes.
 */
public final class ReadEvolved {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[2];
        int count = Integer.parseInt(arguments[3]);
        JsonNode matrix = JSON.readTree(new File(arguments[4]));
        Registry registry = new Registry(arguments[1]);
        Map<String, Object> options = Map.of("bootstrap.servers", arguments[0], "auto.offset.reset", "earliest");
        try (KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(options, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            for (int seen = 0; seen < count; ) {
                var records = consumer.poll(Duration.ofSeconds(30));
                if (records.isEmpty()) {
                    throw new IllegalStateException("no more records come");
                }
                for (ConsumerRecord<String, byte[]> record : records) {
                    String[] place = record.key().split("/");
                    JsonNode row = matrix.get(Integer.parseInt(place[0]));
                    boolean old = row.get("cases").get(Integer.parseInt(place[1])).get("written").asText().equals("old");
                    Schema reader = parse(row.get(old ? "new" : "old"));
                    System.out.println(JSON.writeValueAsString(answer(record, registry, reader)));
                    seen++;
                }
            }
        }
    }

    private static Map<String, Object> answer(ConsumerRecord<String, byte[]> record, Registry registry, Schema reader)
            throws Exception {
        ByteBuffer payload = ByteBuffer.wrap(record.value());
        payload.get();
        Schema writer = registry.schema(payload.getInt());
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("key", record.key());
        SchemaCompatibilityType verdict =
                SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getType();
        answer.put("compatible", verdict == SchemaCompatibilityType.COMPATIBLE);
        try {
            BinaryDecoder datum = DecoderFactory.get()
                    .binaryDecoder(payload.array(), payload.position(), payload.remaining(), null);
            Object read = new GenericDatumReader<>(writer, reader).read(null, datum);
            if (!datum.isEnd()) {
                throw new IllegalStateException("bytes are left over");
            }
            answer.put("read", plain(read));
        } catch (IOException | RuntimeException error) {
            answer.put("refused", error.toString());
        }
        return answer;
    }

    /** A row's schema: a list of fields stands for a record of the same name everywhere. */
    private static Schema parse(JsonNode side) {
        String text = side.isArray()
                ? "{\"type\":\"record\",\"name\":\"Changed\",\"namespace\":\"evolution\",\"fields\":" + side + "}"
                : side.toString();
        return new Schema.Parser().parse(text);
    }

    /** As JSON: bytes have one character each. */
    private static Object plain(Object value) {
        if (value instanceof IndexedRecord record) {
            Map<String, Object> fields = new LinkedHashMap<>();
            for (Schema.Field field : record.getSchema().getFields()) {
                fields.put(field.name(), plain(record.get(field.pos())));
            }
            return fields;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> entries = new LinkedHashMap<>();
            map.forEach((name, part) -> entries.put(name.toString(), plain(part)));
            return entries;
        }
        if (value instanceof List<?> list) {
            List<Object> items = new ArrayList<>();
            list.forEach(item -> items.add(plain(item)));
            return items;
        }
        if (value instanceof ByteBuffer bytes) {
            return StandardCharsets.ISO_8859_1.decode(bytes.duplicate()).toString();
        }
        if (value instanceof GenericFixed fixed) {
            return plain(ByteBuffer.wrap(fixed.bytes()));
        }
        return value instanceof CharSequence || value instanceof GenericEnumSymbol<?> ? value.toString() : value;
    }

    /** The schemas of a registry with Confluent's API, by their ids. */
    private record Registry(String url, HttpClient client, Map<Integer, Schema> known) {
        Registry(String url) {
            this(url, HttpClient.newHttpClient(), new HashMap<>());
        }

        Schema schema(int id) throws Exception {
            Schema schema = known.get(id);
            if (schema == null) {
                HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/schemas/ids/" + id)).build();
                HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
                schema = new Schema.Parser().parse(JSON.readTree(response.body()).get("schema").asText());
                known.put(id, schema);
            }
            return schema;
        }
    }
}
