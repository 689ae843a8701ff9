//! How records are written, one after the other: their number is not known before the last one.

use crate::cli::error::CliError;
use crate::cli::header_map::Bytes;
use crate::cli::output::{OutputFormat, json};
use crate::cli::printer::Printer;
use crate::cli::record_line::RecordLine;
use crate::cli::terminal_text::escaped;

const HEADINGS: [&str; 6] = ["TIME", "PARTITION", "OFFSET", "KEY", "EVENT", "VERSION"];
/// A cell longer than this is not lined up with those above: nobody could read the lines.
const WIDEST: usize = 48;
/// The most of a payload that could not be decoded that a table shows, in characters of base64.
const SHOWN_BASE64: usize = 64;

/// Writes records.
pub(super) struct Rows {
    format: OutputFormat,
    with_headers: bool,
    widths: [usize; 6],
    written: bool,
}

impl Rows {
    /// In this format; `with_headers` in a table too.
    pub(super) fn new(format: OutputFormat, with_headers: bool) -> Self {
        Self { format, with_headers, widths: [24, 9, 8, 8, 24, 7], written: false }
    }

    /// What comes before the first record.
    pub(super) fn begin(&mut self, printer: &Printer) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Table => {
                let line = self.line(&HEADINGS.map(str::to_owned), "PAYLOAD");
                printer.heading(&line)
            }
            OutputFormat::Json => printer.data("["),
            OutputFormat::Jsonl => Ok(()),
        }
    }

    /// A record.
    pub(super) fn row(&mut self, line: &RecordLine, printer: &Printer) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Jsonl => printer.line(&json(line, false)?),
            OutputFormat::Json => {
                let separator = if self.written { ",\n" } else { "\n" };
                self.written = true;
                printer.data(separator)?;
                printer.data(&json(line, true)?)
            }
            OutputFormat::Table => {
                let text = |text: &Option<String>| {
                    text.as_ref().map_or_else(|| "-".to_owned(), |text| escaped(text.as_bytes()))
                };
                let cells = [
                    text(&line.timestamp),
                    line.partition.unwrap_or_default().to_string(),
                    line.offset.unwrap_or_default().to_string(),
                    line.key.as_ref().map_or_else(|| "-".to_owned(), Bytes::to_line),
                    text(&line.event.clone().or_else(|| line.record.clone())),
                    text(&line.version),
                ];
                let row = self.line(&cells, &payload(line)?);
                printer.line(&row)?;
                if self.with_headers && !line.headers.0.is_empty() {
                    printer.line(&line.headers.to_string())?;
                }
                Ok(())
            }
        }
    }

    /// What comes behind the last record.
    pub(super) fn end(&self, printer: &Printer) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Json => printer.line(if self.written { "\n]" } else { "]" }),
            OutputFormat::Table | OutputFormat::Jsonl => Ok(()),
        }
    }

    /// Cells under their headings; columns grow with what they hold.
    fn line(&mut self, cells: &[String; 6], last: &str) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&mut self.widths) {
            let length = cell.chars().count();
            *width = (*width).max(length.min(WIDEST));
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(length) + 2));
        }
        line.push_str(last);
        line
    }
}

fn payload(line: &RecordLine) -> Result<String, CliError> {
    match (&line.payload, &line.payload_base64) {
        (Some(value), _) => json(value, false),
        (None, None) => Ok("(null)".to_owned()),
        (None, Some(base64)) => {
            let reason = line.payload_error.as_deref().unwrap_or_default();
            let rest = if base64.len() > SHOWN_BASE64 { "…" } else { "" };
            let shown = base64.get(..SHOWN_BASE64).unwrap_or(base64);
            Ok(format!("(not decodable: {}) base64:{shown}{rest}", escaped(reason.as_bytes())))
        }
    }
}
