import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs a file of SQL statements as Flink's own client would, on a cluster inside the process: RunSql FILE
 *
 * <p>A statement ends where a line ends with a semicolon. Each one is over before the next begins.
 */
public final class RunSql {
    public static void main(String[] arguments) throws Exception {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inBatchMode());
        tables.getConfig().set("parallelism.default", "1");
        for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*(\n|$)")) {
            if (!statement.isBlank()) {
                tables.executeSql(statement).await();
            }
        }
    }
}
