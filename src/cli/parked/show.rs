//! `tidings parked show`.

use clap::Args;
use serde::Serialize;

use super::StoreArguments;
use super::list::KeyRow;
use super::selection::SelectionArguments;
use crate::cli::error::CliError;
use crate::cli::header_map::HeaderMap;
use crate::cli::masking::{MaskingArguments, PayloadView};
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::record_line::{Payload, RecordLine};
use crate::cli::schemas::Schemas;
use crate::cli::settings::{RegistryArguments, SchemasArguments, Settings};
use crate::cli::terminal_text::escaped;
use crate::consumer::parked::ParkCause;
use crate::envelope::rfc3339;

/// Show the events of a parked key: why they are parked, their headers and their payloads.
///
/// Payloads are decoded with the schema registry's schemas, or with those of a folder.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings parked show 42 --group leaderboards.Leaderboards
  tidings parked show 42 -g leaderboards.Leaderboards -n 1 -o json | jq '.waiting[0].record.payload'")]
pub(super) struct ShowArguments {
    /// The key, written as `ls` shows it.
    #[arg(value_name = "KEY")]
    key: String,

    /// At most so many of its events, the first; 0 for no bound.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    limit: usize,

    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    masking: MaskingArguments,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// All of a key.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    key: KeyRow,
    /// The events that wait.
    waiting: Vec<ShownEvent>,
}

#[derive(Serialize)]
struct ShownEvent {
    /// Why it is parked; null for one that waits behind another.
    cause: Option<ShownCause>,
    record: RecordLine,
}

#[derive(Serialize)]
struct ShownCause {
    handler: Option<String>,
    class: String,
    error: String,
    attempts: u32,
    first_failure: String,
    parked: String,
}

impl ShownCause {
    fn of(cause: ParkCause) -> Self {
        let ParkCause { handler, class, error, attempts, first_failure, parked_at } = cause;
        Self { handler, class, error, attempts, first_failure: rfc3339(first_failure), parked: rfc3339(parked_at) }
    }
}

pub(super) async fn run(arguments: &ShowArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let parked = arguments.store.open(settings, printer).await?;
    let schemas = Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options).await?;
    let view = PayloadView::new(&schemas, &arguments.masking, printer);
    let named = arguments.selection.named(&parked, std::slice::from_ref(&arguments.key)).await?;
    let limit = if arguments.limit == 0 { usize::MAX } else { arguments.limit };
    for found in &named {
        let mut events = Vec::new();
        for event in parked.records(&found.key, limit).await? {
            let cause = event.cause.clone().map(ShownCause::of);
            let record = event.into_record();
            let payload = Payload::of(&record, &view).await;
            events.push(ShownEvent { cause, record: RecordLine::new(&record, payload) });
        }
        let shown = Shown { key: KeyRow::of(found), waiting: events };
        match arguments.store.output {
            OutputFormat::Json => printer.line(&output::json(&shown, true)?)?,
            OutputFormat::Jsonl => printer.line(&output::json(&shown, false)?)?,
            OutputFormat::Table => table(&shown, printer)?,
        }
        let left = shown.key.events.saturating_sub(shown.waiting.len() as u64);
        if left > 0 {
            printer.note(&format!("{left} more events wait behind these; -n 0 shows all"));
        }
    }
    Ok(())
}

fn table(shown: &Shown, printer: &Printer) -> Result<(), CliError> {
    let fact = |name: &str, value: &str| printer.line(&format!("{name:<14}  {}", escaped(value.as_bytes())));
    fact("topic", &format!("{}[{}]", shown.key.topic, shown.key.partition))?;
    printer.line(&format!("{:<14}  {}", "key", shown.key.key.to_line()))?;
    fact("events", &shown.key.events.to_string())?;
    if let Some(request) = shown.key.request {
        fact("request", request)?;
    }
    for ShownEvent { cause, record } in &shown.waiting {
        printer.line("")?;
        let name = record.event.as_deref().unwrap_or("an event without a name");
        let version = record.version.as_deref().unwrap_or_default();
        let offset = record.offset.unwrap_or_default();
        printer.heading(&escaped(format!("{offset}  {name} {version}").trim_end().as_bytes()))?;
        if let Some(timestamp) = &record.timestamp {
            fact("written", timestamp)?;
        }
        match cause {
            None => fact("cause", "it waits behind the one before it")?,
            Some(cause) => {
                fact("handler", cause.handler.as_deref().unwrap_or("-"))?;
                fact("class", &cause.class)?;
                fact("attempts", &cause.attempts.to_string())?;
                fact("first failure", &cause.first_failure)?;
                fact("parked", &cause.parked)?;
                printer.line("error")?;
                cause.error.lines().try_for_each(|line| printer.line(&format!("    {}", escaped(line.as_bytes()))))?;
            }
        }
        printer.line("headers")?;
        if record.headers != HeaderMap::default() {
            printer.line(&record.headers.to_string())?;
        }
        printer.line("payload")?;
        let payload = match (&record.payload, &record.payload_base64) {
            (Some(value), _) => output::json(value, true)?,
            (None, Some(base64)) => {
                let reason = record.payload_error.as_deref().unwrap_or_default();
                format!("(not decodable: {})\nbase64:{base64}", escaped(reason.as_bytes()))
            }
            (None, None) => "(null)".to_owned(),
        };
        payload.lines().try_for_each(|line| printer.line(&format!("    {line}")))?;
    }
    Ok(())
}
