//! `tidings schema check`.

use clap::Args;
use serde::Serialize;

use super::finding::Finding;
use super::history::EventHistory;
use super::judge::{Judgement, judge};
use super::{SelectionArguments, registered, render};
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::{RegistryArguments, Settings};
use crate::schema::compatibility::CompatibilityMode;
use crate::schema::{ConfluentRegistry, SchemaError};

/// Check the schemas being worked on against those released, and against a registry's
///
/// Every break is shown with the field, both versions and what to do about
/// it; the event's version must rise by the kind of change. Without a
/// registry it asks nobody. It exits with 0 when all is well, with 1 when
/// something breaks, and with 2 when it could not find out.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings schema check
  tidings schema check accounts.UserUpdated --compatibility FULL_TRANSITIVE
  tidings schema check --registry http://localhost:8081"
)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    /// Which versions have to read which: NONE, BACKWARD, FORWARD or FULL, the last three also with _TRANSITIVE. Default: what
    /// the schema states as "tidings.compatibility", else what the registry holds the subject to (other than NONE, which registries
    /// also answer for what nobody has configured), else BACKWARD_TRANSITIVE.
    #[arg(long, value_name = "MODE")]
    compatibility: Option<CompatibilityMode>,

    /// Ask no registry, even where one is configured.
    #[arg(long)]
    offline: bool,

    /// The topic the events are on. Default: the source.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// What was found out about an event.
#[derive(Serialize)]
struct Row {
    source: String,
    event: String,
    version: Option<String>,
    /// The last release.
    released: Option<String>,
    change: Option<String>,
    compatibility: &'static str,
    /// Who said so: `flag`, `schema`, `registry` or `default`.
    compatibility_from: &'static str,
    ok: bool,
    findings: Vec<FindingRow>,
}

#[derive(Serialize)]
struct FindingRow {
    level: &'static str,
    message: String,
    help: Option<String>,
    places: Vec<PlaceRow>,
}

#[derive(Serialize)]
struct PlaceRow {
    file: String,
    line: usize,
    text: String,
}

pub(super) async fn run(arguments: &CheckArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let (events, broken) = check(arguments, settings, printer).await.map_err(CliError::leaves_open)?;
    match broken {
        0 => Ok(()),
        _ => Err(CliError::failure(format!("{broken} of {events} schemas cannot be released as they are"))),
    }
}

async fn check(arguments: &CheckArguments, settings: &Settings, printer: &Printer) -> Result<(usize, usize), CliError> {
    let histories = arguments.selection.histories(settings)?;
    let registry = if arguments.offline {
        None
    } else {
        registered::open(settings, &arguments.registry, |options| options.auto_register(false)).await?
    };
    let mut rows = Vec::with_capacity(histories.len());
    for history in &histories {
        let registered = match &registry {
            Some(registry) => registered::mode(registry, history, arguments.topic.as_ref()).await?,
            None => None,
        };
        let chosen = Chosen::of(history, arguments.compatibility, registered)?;
        let others = match &registry {
            Some(registry) => registered::versions(registry, history, arguments.topic.as_ref()).await?,
            None => Vec::new(),
        };
        let mut judgement = judge(history, chosen.mode, others)?;
        judgement.findings.extend(chosen.note(history, registered));
        if let Some(registry) = &registry {
            judgement.findings.extend(refusal(registry, history, &judgement, arguments.topic.as_ref()).await?);
        }
        if arguments.output == OutputFormat::Table {
            for finding in &judgement.findings {
                render::show(finding, printer)?;
            }
            printer.line(&summary(history, &judgement))?;
        }
        rows.push(row(history, &chosen, &judgement));
    }
    match arguments.output {
        OutputFormat::Table => {}
        OutputFormat::Json => printer.line(&output::json(&rows, true)?)?,
        OutputFormat::Jsonl => rows.iter().try_for_each(|row| printer.line(&output::json(row, false)?))?,
    }
    Ok((rows.len(), rows.iter().filter(|row| !row.ok).count()))
}

/// The mode a schema is checked under, and who said so.
pub(super) struct Chosen {
    pub(super) mode: CompatibilityMode,
    from: &'static str,
}

impl Chosen {
    /// A flag goes before the schema, which is reviewed and there without a network, and that before the registry.
    pub(super) fn of(
        history: &EventHistory,
        given: Option<CompatibilityMode>,
        registered: Option<CompatibilityMode>,
    ) -> Result<Self, CliError> {
        let named = [(given, "flag"), (history.stated_mode()?, "schema"), (registered, "registry")];
        let found = named.into_iter().find_map(|(mode, from)| mode.map(|mode| Self { mode, from }));
        Ok(found.unwrap_or_else(|| Self { mode: CompatibilityMode::default(), from: "default" }))
    }

    /// What a check without the registry would not know, or the registry not.
    fn note(&self, history: &EventHistory, registered: Option<CompatibilityMode>) -> Option<Finding> {
        let working = history.working.as_ref()?;
        let (event, mode, file) = (&history.event, self.mode, working.path.display());
        let (message, help) = match (self.from, registered) {
            ("schema", Some(registered)) if registered != mode => (
                format!("{event} states {mode}, and the registry holds its subject to {registered}"),
                "make them the same: the registry refuses by its own".to_owned(),
            ),
            ("registry", _) if mode != CompatibilityMode::default() => (
                format!("{event} is checked under {mode}, to which the registry holds its subject"),
                format!(
                    "\"tidings.compatibility\": \"{mode}\" in {file}, so that checks without the registry do the same"
                ),
            ),
            _ => return None,
        };
        Some(Finding { is_error: false, message, pieces: Vec::new(), help: Some(help) })
    }
}

/// What the registry itself says, where we see nothing wrong.
async fn refusal(
    registry: &ConfluentRegistry,
    history: &EventHistory,
    judgement: &Judgement,
    topic: Option<&String>,
) -> Result<Option<Finding>, CliError> {
    let Some(working) = history.working.as_ref().filter(|_| !judgement.has_errors()) else { return Ok(None) };
    let subject = history.subject(topic);
    let accepted = registry.accepts(&subject, &working.text).await.map_err(|error| CliError::failed(&error))?;
    Ok((!accepted).then(|| Finding {
        is_error: true,
        message: format!("the registry would refuse {} under {subject}", history.event),
        pieces: Vec::new(),
        help: Some(
            "its subject may have another compatibility than this check: say which with --compatibility; for a new major version, \
             set the subject's to NONE while it is registered"
                .to_owned(),
        ),
    }))
}

fn summary(history: &EventHistory, judgement: &Judgement) -> String {
    let event = &history.event;
    let version = history.working.as_ref().and_then(|working| working.version.as_ref());
    let version = version.map(|version| format!(" {version}")).unwrap_or_default();
    if judgement.has_errors() {
        return format!("BROKEN  {event}{version}");
    }
    match &judgement.since {
        Some((last, change)) => format!("ok      {event}{version}: {change} since {last}"),
        _ if history.working.is_none() => format!("ok      {event}: only released versions"),
        _ => format!("ok      {event}{version}: not released yet"),
    }
}

fn row(history: &EventHistory, chosen: &Chosen, judgement: &Judgement) -> Row {
    let findings = judgement.findings.iter().map(|finding| FindingRow {
        level: if finding.is_error { "error" } else { "note" },
        message: finding.message.clone(),
        help: finding.help.clone(),
        places: finding
            .pieces
            .iter()
            .map(|piece| PlaceRow {
                file: piece.origin.clone(),
                line: piece.text.bytes().take(piece.at.start).filter(|byte| *byte == b'\n').count() + 1,
                text: piece.text.get(piece.at.clone()).unwrap_or_default().to_owned(),
            })
            .collect(),
    });
    Row {
        source: history.source.clone(),
        event: history.event.clone(),
        version: history.working.as_ref().and_then(|working| working.version.as_ref()).map(ToString::to_string),
        released: history.last().map(|last| last.version.to_string()),
        change: judgement.since.as_ref().map(|(_, change)| change.to_string()),
        compatibility: chosen.mode.name(),
        compatibility_from: chosen.from,
        ok: !judgement.has_errors(),
        findings: findings.collect(),
    }
}

impl From<SchemaError> for CliError {
    fn from(error: SchemaError) -> Self {
        Self::unusable(&error)
    }
}
