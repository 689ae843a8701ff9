//! What the dialects of SQL share.

use super::events::ExportedEvent;
use crate::warehouse::columns::{self, PipelineColumn};

/// Columns that only tell apart what a table cannot have twice.
pub(super) fn names(event: &ExportedEvent) -> Vec<&str> {
    let pipeline = columns::COLUMNS.iter().map(|column| column.name);
    pipeline.chain(event.table.columns.iter().map(|column| column.name.as_str())).collect()
}

/// A name between double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name between backquotes.
pub(super) fn backquoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Text between single quotes, where only those are special.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A comment, each line of it.
pub(super) fn comment(text: &str) -> String {
    text.lines().flat_map(|line| ["-- ", line, "\n"]).collect::<String>().replace("-- \n", "--\n")
}

/// Why columns have other names than their fields, as a comment.
pub(super) fn renamed(event: &ExportedEvent) -> String {
    let lines = event.table.renamed().map(|column| {
        comment(&format!("{} is the payload's field {}: another column has its name.", column.name, column.field))
    });
    lines.collect()
}

/// `parts`, each on a line of its own and indented, with commas between.
pub(super) fn list(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().map(|part| format!("    {part}")).collect::<Vec<_>>().join(",\n")
}

/// A column of the pipeline's that a header tells, and the header.
pub(super) fn header_of(column: &PipelineColumn) -> Option<&'static str> {
    match column.origin {
        columns::Origin::Header(name) | columns::Origin::PathHeader(name) => Some(name),
        _ => None,
    }
}
