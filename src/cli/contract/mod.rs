//! `tidings contract`: what services promise each other, for the tools that show it.

mod asyncapi;
mod backstage;
mod mermaid;
mod services;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::services::{Services, SourceMode};
use super::error::CliError;
use super::output;
use super::printer::Printer;
use super::settings::{SchemasArguments, Settings};

/// Write what services publish and handle, for AsyncAPI, Backstage or diagrams
///
/// It reads the routes that services write when they are started with
/// TIDINGS_ROUTES=FILE, and the schemas in schemas/SOURCE/EVENT.avsc. Handlers
/// come from the routes. What is published comes from the schemas: the events
/// of a source are those of the service of that name.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  TIDINGS_ROUTES=routes.json ./leaderboards
  tidings contract asyncapi --service leaderboards routes.json > asyncapi.json
  tidings contract backstage --service accounts > catalog-info.yaml
  tidings contract mermaid accounts.json leaderboards.json mails.json > events.mmd
  tidings contract mermaid-sequence --mode accounts=outbox leaderboards.json > sequence.mmd"
)]
pub(super) struct ContractArguments {
    /// What to write.
    #[arg(value_enum, value_name = "FORMAT")]
    format: Format,

    /// Routes that services have written; - is standard input.
    #[arg(value_name = "ROUTES")]
    routes: Vec<PathBuf>,

    /// The service whose contract it is. Default for a diagram: all of them; else the one that the routes are of.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Which way the events of a source go, for sequences and states: direct (direct:none, direct:leader, direct:all), outbox or
    /// store. Default: not shown, as services are told it by their configuration. May be given for several sources.
    #[arg(long = "mode", value_name = "SOURCE=MODE")]
    modes: Vec<SourceMode>,

    /// The service's own version. Default: 1.0.0.
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    service_version: semver::Version,

    /// Who owns the service, for Backstage. Default: unknown.
    #[arg(long, value_name = "NAME", default_value = "unknown")]
    owner: String,

    /// Where the brokers are, host:port, for AsyncAPI. Default: left out.
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,

    #[command(flatten)]
    schemas: SchemasArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An AsyncAPI 3.1 document, as JSON.
    Asyncapi,
    /// A catalog-info.yaml: the service, and its events as an API.
    Backstage,
    /// A Mermaid flowchart of sources, events and handlers.
    Mermaid,
    /// A Mermaid sequence diagram: who publishes what to which topic, and which handlers take it.
    MermaidSequence,
    /// A Mermaid state diagram: the life of an event, with each handler's own policy.
    MermaidStates,
}

pub(super) fn run(arguments: &ContractArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let services = Services::read(&arguments.routes, settings, &arguments.schemas, &arguments.modes)?;
    let named = arguments.service.as_deref();
    // A diagram is of all services unless it is told one; what else there is, is of one.
    let one = || services.one(named);
    let text = match arguments.format {
        Format::Mermaid => mermaid::graph(&services, named),
        Format::MermaidSequence => mermaid::sequence(&services, named),
        Format::MermaidStates => mermaid::states(&services, named),
        Format::Backstage => backstage::catalog(&services, &one()?, &arguments.owner),
        Format::Asyncapi => {
            let document = asyncapi::document(&services, &one()?, arguments);
            return printer.line(&output::json(&document, true)?);
        }
    };
    printer.data(&text)
}
