//! `tidings dead-letters show`.

use clap::Args;
use serde::Serialize;

use super::TopicArguments;
use super::list::LetterRow;
use crate::cli::error::CliError;
use crate::cli::header_map::{Bytes, HeaderMap};
use crate::cli::masking::{MaskingArguments, PayloadView};
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::record_line::{Payload, RecordLine};
use crate::cli::schemas::Schemas;
use crate::cli::settings::{RegistryArguments, SchemasArguments, Settings};
use crate::cli::terminal_text::escaped;
use crate::dead_letters::Place;

/// Show all of one dead letter: how it became one, its headers and its payload.
///
/// The payload is decoded with the schema registry's schemas, or with those of a folder.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings dead-letters show 3:17 --group leaderboards.Leaderboards
  tidings dead-letters show 3:17 -g leaderboards.Leaderboards -o json | jq .record.payload")]
pub(super) struct ShowArguments {
    /// Its place in the dead-letter topic, PARTITION:OFFSET, as `ls` shows it.
    #[arg(value_name = "PLACE")]
    place: Place,

    #[command(flatten)]
    topic: TopicArguments,

    #[command(flatten)]
    masking: MaskingArguments,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// All of a letter.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    letter: LetterRow,
    /// The error and its causes.
    chain: Option<String>,
    /// The group it was last redriven for.
    redrive_group: Option<String>,
    record: RecordLine,
}

pub(super) async fn run(arguments: &ShowArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let dead_letters = arguments.topic.open(settings)?;
    let schemas = Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options).await?;
    let view = PayloadView::new(&schemas, &arguments.masking, printer);
    let place = arguments.place;
    let letter = dead_letters.letter(place).await?.ok_or_else(|| {
        let topic = dead_letters.topic();
        CliError::failure(format!(
            "there is no letter {place} in {topic}; `tidings dead-letters ls` lists those there are"
        ))
    })?;
    let payload = Payload::of(letter.record(), &view).await;
    let shown = Shown {
        letter: LetterRow::of(&letter),
        chain: letter.circumstances().chain.clone(),
        redrive_group: letter.circumstances().redrive_group.clone(),
        record: RecordLine::new(letter.record(), payload),
    };
    match arguments.topic.output {
        OutputFormat::Json => printer.line(&output::json(&shown, true)?),
        OutputFormat::Jsonl => printer.line(&output::json(&shown, false)?),
        OutputFormat::Table => table(&shown, printer),
    }
}

fn table(shown: &Shown, printer: &Printer) -> Result<(), CliError> {
    let letter = &shown.letter;
    let version = shown.record.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let facts = [
        ("letter", Some(letter.letter.clone())),
        ("original", Some(letter.original())),
        ("event", letter.event.as_ref().map(|event| format!("{event}{version}"))),
        ("key", letter.key.as_ref().map(Bytes::to_line)),
        ("group", letter.group.clone()),
        ("handler", letter.handler.clone()),
        ("class", letter.class.clone()),
        ("message", letter.message.clone()),
        ("attempts", letter.attempts.map(|attempts| attempts.to_string())),
        ("first failure", letter.first_failure.clone()),
        ("given up", letter.given_up.clone()),
        ("redrives", Some(letter.redrives.to_string())),
        ("redriven", letter.redriven.clone()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            printer.line(&format!("{name:<14}  {}", escaped(value.as_bytes())))?;
        }
    }
    if let Some(chain) = shown.chain.as_ref().filter(|chain| letter.message.as_ref() != Some(*chain)) {
        printer.heading("error")?;
        chain.lines().try_for_each(|line| printer.line(&format!("    {}", escaped(line.as_bytes()))))?;
    }
    printer.heading("headers")?;
    if shown.record.headers != HeaderMap::default() {
        printer.line(&shown.record.headers.to_string())?;
    }
    printer.heading("payload")?;
    let payload = match (&shown.record.payload, &shown.record.payload_base64) {
        (Some(value), _) => output::json(value, true)?,
        (None, Some(base64)) => {
            let reason = shown.record.payload_error.as_deref().unwrap_or_default();
            format!("(not decodable: {})\nbase64:{base64}", escaped(reason.as_bytes()))
        }
        (None, None) => "(null)".to_owned(),
    };
    payload.lines().try_for_each(|line| printer.line(&format!("    {line}")))
}
