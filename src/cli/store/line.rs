//! A stored event, as it is shown.

use serde::Serialize;
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::header_map::Bytes;
use crate::cli::output::{OutputFormat, json};
use crate::cli::printer::Printer;
use crate::cli::terminal_text::escaped;
use crate::envelope::rfc3339;
use crate::schema::Codec;
use crate::store::StoredEvent;

/// A stored event as JSON.
#[derive(Serialize)]
struct StoredLine {
    position: Option<u64>,
    source: String,
    stream: String,
    epoch: u32,
    sequence: Option<u64>,
    key: String,
    event: String,
    version: String,
    id: String,
    time: String,
    recorded_time: String,
    correlation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    data_schema: String,
    payload: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_error: Option<String>,
}

/// Shows stored events, one after the other.
pub(super) struct Lines {
    format: OutputFormat,
    codec: Codec,
    count: u64,
}

impl Lines {
    pub(super) fn new(format: OutputFormat, codec: Codec) -> Self {
        Self { format, codec, count: 0 }
    }

    pub(super) async fn show(&mut self, stored: &StoredEvent, printer: &Printer) -> Result<(), CliError> {
        let line = self.line(stored).await;
        let first = self.count == 0;
        self.count += 1;
        match self.format {
            OutputFormat::Jsonl => printer.line(&json(&line, false)?),
            OutputFormat::Json => {
                printer.data(if first { "[\n" } else { ",\n" })?;
                printer.data(&json(&line, true)?)
            }
            OutputFormat::Table => {
                if first {
                    heading(printer)?;
                }
                let position = line.position.map_or_else(|| "-".to_owned(), |position| position.to_string());
                let sequence = line.sequence.unwrap_or_default();
                let place = if line.epoch == 0 { sequence.to_string() } else { format!("{}/{sequence}", line.epoch) };
                let payload = match (&line.payload, &line.payload_error) {
                    (Some(payload), _) => json(payload, false)?,
                    (None, Some(error)) => format!("({error})"),
                    (None, None) => "-".to_owned(),
                };
                let [stream, event, payload] =
                    [&line.stream, &line.event, &payload].map(|text| escaped(text.as_bytes()));
                printer.line(&row(&position, &stream, &place, &line.time, &event, &payload))
            }
        }
    }

    pub(super) fn end(&self, printer: &Printer) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Json if self.count == 0 => printer.line("[]"),
            OutputFormat::Json => printer.line("\n]"),
            OutputFormat::Table if self.count == 0 => heading(printer),
            OutputFormat::Table | OutputFormat::Jsonl => Ok(()),
        }
    }

    async fn line(&self, StoredEvent { position, event }: &StoredEvent) -> StoredLine {
        let envelope = &event.envelope;
        let mut line = StoredLine {
            position: *position,
            source: envelope.source.to_string(),
            stream: envelope.stream.as_str().to_owned(),
            epoch: envelope.stream_epoch,
            sequence: envelope.sequence,
            key: envelope.key.clone(),
            event: envelope.event.to_string(),
            version: envelope.schema_version.to_string(),
            id: envelope.id.to_string(),
            time: rfc3339(envelope.time),
            recorded_time: rfc3339(envelope.recorded_time),
            correlation_id: envelope.correlation_id.clone(),
            causation_id: envelope.causation_id.clone(),
            data_schema: envelope.data_schema.clone(),
            payload: None,
            payload_base64: None,
            payload_error: None,
        };
        match self.codec.decode_json(Some(&event.payload)).await {
            Ok(json) => line.payload = Some(json.value),
            Err(error) => {
                line.payload_base64 = Some(Bytes(event.payload.to_vec()).to_base64());
                line.payload_error = Some(error.to_string());
            }
        }
        line
    }
}

fn heading(printer: &Printer) -> Result<(), CliError> {
    printer.heading(&row("POSITION", "STREAM", "SEQUENCE", "TIME", "EVENT", "PAYLOAD"))
}

fn row(position: &str, stream: &str, sequence: &str, time: &str, event: &str, payload: &str) -> String {
    format!("{position:<9}  {stream:<24}  {sequence:<8}  {time:<27}  {event:<28}  {payload}")
}
