//! `tidings outbox show`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::PlaceArguments;
use crate::cli::error::CliError;
use crate::cli::masking::{MaskingArguments, PayloadView};
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::schemas::Schemas;
use crate::cli::settings::{RegistryArguments, SchemasArguments, Settings};
use crate::cli::terminal_text::escaped;
use crate::outbox::{ParkedEvent, parked};

/// Show the parked events of a stream: why they are parked, and their payloads.
///
/// Payloads are decoded with the schema registry's schemas, or with those of a folder. Of one that cannot be decoded nobody knows what is
/// sensitive: its bytes are shown with --unmask only.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings outbox show Account/42 --database mysql://accounts@db.example/accounts
  tidings outbox show Account/42 -n 1 -o json | jq '.[0].payload'")]
pub(super) struct ShowArguments {
    /// The stream, as `ls` shows it.
    #[arg(value_name = "STREAM")]
    stream: String,

    /// At most so many of its events, the first.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    limit: u32,

    #[command(flatten)]
    place: PlaceArguments,

    #[command(flatten)]
    masking: MaskingArguments,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Serialize)]
struct EventRow {
    stream: String,
    source: String,
    epoch: u32,
    sequence: u64,
    event: String,
    version: String,
    event_id: String,
    topic: String,
    key: String,
    occurred_at: String,
    parked_seconds: f64,
    reason: String,
    /// The payload; null where it could not be decoded.
    payload: Option<Value>,
    /// Whether some of the payload is hidden: such an event is for reading, not to be kept as a copy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

pub(super) async fn run(arguments: &ShowArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let schemas = Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options).await?;
    let view = PayloadView::new(&schemas, &arguments.masking, printer);
    let database = arguments.place.open(settings).await?;
    let events = parked(&database, Some(&arguments.stream), arguments.limit).await;
    database.close().await;
    let mut rows = Vec::new();
    for event in events? {
        rows.push(row(event, &view).await);
    }
    if rows.is_empty() {
        return Err(CliError::failure(format!(
            "no event of the stream {} is parked; `tidings outbox ls` lists the streams that have some",
            arguments.stream
        )));
    }
    match arguments.place.output {
        OutputFormat::Json => printer.line(&output::json(&rows, true)?),
        OutputFormat::Jsonl => rows.iter().try_for_each(|row| printer.line(&output::json(row, false)?)),
        OutputFormat::Table => rows.iter().try_for_each(|row| table(row, printer)),
    }
}

async fn row(event: ParkedEvent, view: &PayloadView) -> EventRow {
    let (mut payload, mut masked, mut payload_base64) = (None, false, None);
    match view.codec.decode_json(Some(&event.payload)).await {
        Ok(json) => {
            let mut value = json.value;
            masked = view.mask(json.schema_id, &json.record, &mut value).await;
            payload = Some(value);
        }
        Err(_) if view.is_unmasked() => payload_base64 = Some(STANDARD.encode(&event.payload)),
        Err(_) => masked = true,
    }
    EventRow {
        stream: event.stream.stream.to_string(),
        source: event.stream.source.to_string(),
        epoch: event.epoch,
        sequence: event.sequence,
        event: event.event,
        version: event.schema_version,
        event_id: event.event_id,
        topic: event.topic,
        key: event.key,
        occurred_at: event.occurred_at,
        parked_seconds: event.parked_for.as_secs_f64(),
        reason: event.reason,
        payload,
        masked,
        payload_base64,
    }
}

fn table(row: &EventRow, printer: &Printer) -> Result<(), CliError> {
    let fact = |name: &str, value: &str| printer.line(&format!("{name:<12}  {}", escaped(value.as_bytes())));
    printer.heading(&escaped(format!("{}  {} {}", row.sequence, row.event, row.version).as_bytes()))?;
    fact("stream", &row.stream)?;
    fact("source", &row.source)?;
    fact("epoch", &row.epoch.to_string())?;
    fact("id", &row.event_id)?;
    fact("topic", &row.topic)?;
    fact("key", &row.key)?;
    fact("happened", &row.occurred_at)?;
    fact("parked for", &format!("{:.0} s", row.parked_seconds))?;
    fact("reason", &row.reason)?;
    printer.line("payload")?;
    let payload = match (&row.payload, &row.payload_base64) {
        (Some(value), _) => output::json(value, true)?,
        (None, Some(base64)) => format!("(not decodable)\nbase64:{base64}"),
        (None, None) => "(not decodable; --unmask shows its bytes)".to_owned(),
    };
    payload.lines().try_for_each(|line| printer.line(&format!("    {line}")))?;
    printer.line("")
}
