//! Rows, as a table for people or as JSON for programs.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::error::CliError;
use super::printer::Printer;
use super::terminal_text::escaped;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum OutputFormat {
    /// A table for people.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// What stands in a table.
pub(super) enum Cell {
    /// Text as it is: it is escaped where a terminal wants that.
    Text(String),
    /// One line that is escaped already, such as that of bytes that are no text.
    Line(String),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Write `rows`: their JSON, or a table with `headings` of what `cells` makes of each.
pub(super) fn rows<T: Serialize, C: Into<Cell>, const N: usize>(
    printer: &Printer,
    format: OutputFormat,
    rows: &[T],
    headings: [&str; N],
    cells: impl Fn(&T) -> [C; N],
) -> Result<(), CliError> {
    match format {
        OutputFormat::Json => printer.line(&json(&rows, true)?),
        OutputFormat::Jsonl => rows.iter().try_for_each(|row| printer.line(&json(row, false)?)),
        OutputFormat::Table if rows.is_empty() => Ok(()),
        OutputFormat::Table => {
            let mut table = Table::new();
            table.load_style(comfy_table::presets::NOTHING);
            // A row stays a line: programs read tables too.
            table.set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(headings);
            for row in rows {
                table.add_row(cells(row).map(|cell| match cell.into() {
                    Cell::Text(text) => escaped(text.as_bytes()),
                    Cell::Line(line) => line,
                }));
            }
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
            let text = table.to_string();
            let mut lines = text.lines().map(str::trim_end);
            if let Some(heading) = lines.next() {
                printer.heading(heading)?;
            }
            lines.try_for_each(|line| printer.line(line))
        }
    }
}

/// `value` as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T, pretty: bool) -> Result<String, CliError> {
    let json = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    json.map_err(|error| CliError::failure("the result cannot be written as JSON").caused_by(&error))
}
