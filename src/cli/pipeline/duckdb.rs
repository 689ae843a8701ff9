//! Views of DuckDB's over the files of the Parquet sink.

use super::events::{Exported, ExportedEvent};
use super::sql::{comment, list, literal, names, quoted, renamed};
use crate::warehouse::columns::{COLUMNS, DAY_FOLDER, EVENT_FOLDER, PipelineType};
use crate::warehouse::table::{Column, ColumnType, TimeUnit};

const HEAD: &str = "\
Views over the files that the Parquet sink of tidings writes: one for each event, with one row for each event of it.
Filter by day where you can: then only the files of those days are read.
A view can be made once its event has a first file, since DuckDB refuses a pattern without files.
A column that older files do not have is null there. A number that has become wider is wide in all rows.
";

/// A view for each event.
pub(super) fn views(exported: &Exported) -> String {
    let views = exported.events.iter().map(|event| view(event, &exported.location));
    std::iter::once(comment(HEAD)).chain(views).collect::<Vec<_>>().join("\n")
}

/// The columns get their types from an empty table beside the files, so they have them whatever version wrote a file.
fn view(event: &ExportedEvent, location: &str) -> String {
    let pipeline = COLUMNS.iter().map(|column| {
        let kind = match column.kind {
            PipelineType::Text => "VARCHAR",
            PipelineType::Int => "INTEGER",
            PipelineType::Long => "BIGINT",
            PipelineType::Timestamp => "TIMESTAMP WITH TIME ZONE",
        };
        (column.name, kind.to_owned())
    });
    let payload = event.table.columns.iter().map(|column| (column.name.as_str(), data_type(&column.kind)));
    let typed = pipeline.chain(payload).chain([(DAY_FOLDER, "DATE".to_owned())]);
    let typed = list(typed.map(|(name, kind)| format!("CAST(NULL AS {kind}) AS {}", quoted(name))));
    let columns = list(names(event).into_iter().chain([DAY_FOLDER]).map(quoted));
    let files = format!("{location}/{EVENT_FOLDER}={}/{DAY_FOLDER}=*/*.parquet", event.event);
    format!(
        "{}{}CREATE OR REPLACE VIEW {} AS\nSELECT\n{columns}\nFROM (\n  SELECT\n{typed}\n  WHERE false\n  UNION ALL BY NAME\n  \
         SELECT * FROM read_parquet(\n    {},\n    hive_partitioning = true,\n    hive_types = {{'{DAY_FOLDER}': DATE, \
         '{EVENT_FOLDER}': VARCHAR}},\n    union_by_name = true\n  )\n);\n",
        comment(&format!("The event {}.", event.event)),
        renamed(event),
        quoted(&event.name),
        literal(&files),
    )
}

/// As the sink writes it.
fn data_type(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Nothing | ColumnType::Present | ColumnType::Boolean => "BOOLEAN".into(),
        ColumnType::Int => "INTEGER".into(),
        ColumnType::Long => "BIGINT".into(),
        ColumnType::Float => "FLOAT".into(),
        ColumnType::Double => "DOUBLE".into(),
        ColumnType::Bytes | ColumnType::Fixed(_) => "BLOB".into(),
        ColumnType::Text | ColumnType::Uuid | ColumnType::Enum(_) => "VARCHAR".into(),
        ColumnType::Decimal { precision, scale, .. } => format!("DECIMAL({precision}, {scale})"),
        ColumnType::Date => "DATE".into(),
        ColumnType::TimeMillis | ColumnType::TimeMicros => "TIME".into(),
        ColumnType::Timestamp { utc: true, .. } => "TIMESTAMP WITH TIME ZONE".into(),
        ColumnType::Timestamp { unit: TimeUnit::Nanos, .. } => "TIMESTAMP_NS".into(),
        ColumnType::Timestamp { .. } => "TIMESTAMP".into(),
        ColumnType::List(item) => format!("{}[]", data_type(&item.kind)),
        ColumnType::Map(value) => format!("MAP(VARCHAR, {})", data_type(&value.kind)),
        ColumnType::Record(columns) | ColumnType::Union { columns, .. } => {
            let field = |column: &Column| format!("{} {}", quoted(&column.name), data_type(&column.kind));
            format!("STRUCT({})", columns.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}
