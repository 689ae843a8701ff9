//! What is known of services: the events of their sources, and their handlers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::schema::history;
use crate::cli::schemas;
use crate::cli::settings::{SchemasArguments, Settings};
use crate::consumer::{ROUTES_VARIABLE, RouteListing};
use crate::publisher::{DeliveryMode, UnknownMode};
use crate::transport::kafka::TopicSpec;

/// All that is known.
pub(super) struct Services {
    /// What each source publishes, by its name.
    pub(super) sources: BTreeMap<String, Source>,
    /// The handlers, in the order of the listings.
    pub(super) handlers: Vec<RouteListing>,
    /// Which way the events of sources go, as far as it was said: a service is told by its configuration.
    pub(super) modes: BTreeMap<String, DeliveryMode>,
}

/// A source.
#[derive(Default)]
pub(super) struct Source {
    pub(super) events: Vec<PublishedEvent>,
    /// Its topic, as it is declared.
    pub(super) topic: Option<TopicSpec>,
}

/// An event that a source publishes.
pub(super) struct PublishedEvent {
    pub(super) name: String,
    /// As the schema states it; 1.0.0 where it states none.
    pub(super) version: String,
    pub(super) schema: Value,
}

impl PublishedEvent {
    pub(super) fn doc(&self) -> &str {
        self.schema.get("doc").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Services {
    pub(super) fn read(
        listings: &[PathBuf],
        settings: &Settings,
        arguments: &SchemasArguments,
        modes: &[SourceMode],
    ) -> Result<Self, CliError> {
        let mut handlers = Vec::new();
        for path in listings {
            handlers.extend(read_listing(path)?);
        }
        let folder = schemas::folder(settings, arguments);
        let mut sources: BTreeMap<String, Source> = BTreeMap::new();
        // Services that only handle events keep no schemas.
        if folder.is_dir() || settings.schemas(arguments).is_some() {
            for history in history::read(&folder, &[])? {
                let Some(working) = history.working else { continue };
                let version = working.version.map_or_else(|| "1.0.0".to_owned(), |version| version.to_string());
                let schema = serde_json::from_str(&working.text).unwrap_or_default();
                let source = sources.entry(history.source).or_default();
                source.events.push(PublishedEvent { name: history.event, version, schema });
            }
            for (name, source) in &mut sources {
                source.topic = read_topic(&folder, name)?;
            }
        }
        if sources.is_empty() && handlers.is_empty() {
            return Err(CliError::usage("there is nothing to show: name files of routes, or a folder with --schemas"));
        }
        let modes = modes.iter().map(|mode| (mode.source.clone(), mode.mode)).collect();
        let services = Self { sources, handlers, modes };
        let known = services.sources_around(None);
        match services.modes.keys().find(|source| !known.contains(source.as_str())) {
            None => Ok(services),
            Some(unknown) => {
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                Err(CliError::usage(format!("nothing is known of a source {unknown}; known are: {known}")))
            }
        }
    }

    /// The service that is meant.
    pub(super) fn one(&self, named: Option<&str>) -> Result<String, CliError> {
        if let Some(name) = named {
            if self.sources.contains_key(name) || self.handlers.iter().any(|handler| handler.service == name) {
                return Ok(name.to_owned());
            }
            let known = self.names().into_iter().collect::<Vec<_>>().join(", ");
            return Err(CliError::usage(format!("nothing is known of a service {name}; known are: {known}")));
        }
        let of_handlers: BTreeSet<&str> = self.handlers.iter().map(|handler| handler.service.as_str()).collect();
        match of_handlers.into_iter().collect::<Vec<_>>().as_slice() {
            [one] if !one.is_empty() => Ok((*one).to_owned()),
            _ => Err(CliError::usage("say whose contract it is with --service NAME")),
        }
    }

    /// The handlers of a service.
    pub(super) fn handlers_of<'s>(&'s self, service: &str) -> impl Iterator<Item = &'s RouteListing> {
        self.handlers.iter().filter(move |handler| handler.service == service)
    }

    /// The handlers of `service` and of its events, or all.
    pub(super) fn handlers_around(&self, service: Option<&str>) -> Vec<&RouteListing> {
        let is_around =
            |handler: &&RouteListing| service.is_none_or(|name| handler.service == name || handler.source == name);
        self.handlers.iter().filter(is_around).collect()
    }

    /// The sources that publish something, or that somebody handles events of; with a `service`, itself and those it handles.
    pub(super) fn sources_around(&self, service: Option<&str>) -> BTreeSet<&str> {
        let published =
            self.sources.keys().map(String::as_str).filter(|source| service.is_none_or(|name| name == *source));
        let handled = self.handlers_around(service).into_iter().map(|handler| handler.source.as_str());
        published.chain(handled).collect()
    }

    fn names(&self) -> BTreeSet<&str> {
        let handlers = self.handlers.iter().map(|handler| handler.service.as_str());
        handlers.chain(self.sources.keys().map(String::as_str)).filter(|name| !name.is_empty()).collect()
    }
}

/// `SOURCE=MODE`.
#[derive(Clone)]
pub(super) struct SourceMode {
    source: String,
    mode: DeliveryMode,
}

impl FromStr for SourceMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (source, mode) = text.split_once('=').ok_or("write SOURCE=MODE, such as accounts=outbox")?;
        let mode = mode.parse().map_err(|error: UnknownMode| error.to_string())?;
        Ok(Self { source: source.to_owned(), mode })
    }
}

fn read_listing(path: &Path) -> Result<Vec<RouteListing>, CliError> {
    let shown = path.display();
    let read = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = read.map_err(|error| CliError::failure(format!("{shown} cannot be read")).caused_by(&error))?;
    serde_json::from_str(&text).map_err(|error| {
        CliError::failure(format!("{shown} holds no routes as {ROUTES_VARIABLE} asks for them")).caused_by(&error)
    })
}

fn read_topic(folder: &Path, source: &str) -> Result<Option<TopicSpec>, CliError> {
    let path = folder.join(source).join("topic.toml");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(TopicSpec::from_toml(source, &text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::usage(format!("{} cannot be read", path.display())).caused_by(&error)),
    }
}
