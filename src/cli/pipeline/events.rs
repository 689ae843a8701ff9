//! What is exported: events, their topics and their tables.

use std::collections::BTreeMap;

use super::ExportArguments;
use crate::cli::error::CliError;
use crate::cli::schema::history::{self, Release};
use crate::cli::schemas;
use crate::cli::settings::Settings;
use crate::warehouse::table::Table;

/// What the configuration is about.
pub(super) struct Exported {
    pub(super) events: Vec<ExportedEvent>,
    /// The brokers, host:port.
    pub(super) brokers: String,
    /// The registry's address, without a user and a password.
    pub(super) registry: String,
    /// Where files are or go.
    pub(super) location: String,
}

/// An event, and the table it becomes.
pub(super) struct ExportedEvent {
    /// Its full name.
    pub(super) event: String,
    pub(super) source: String,
    pub(super) topic: String,
    /// The table's name.
    pub(super) name: String,
    pub(super) table: Table,
    /// The schema, as JSON.
    pub(super) schema: String,
    /// Its earlier versions, which may be on the topic as well.
    pub(super) released: Vec<Release>,
}

impl Exported {
    pub(super) fn read(arguments: &ExportArguments, settings: &Settings) -> Result<Self, CliError> {
        let folder = schemas::folder(settings, &arguments.schemas);
        let mut events: Vec<ExportedEvent> = Vec::new();
        for history in history::read(&folder, &arguments.events)? {
            let mut released = history.releases;
            // What is worked on, else what was released last: the versions of one major version can be read as it.
            let schema = history.working.map(|working| working.text);
            let Some(schema) = schema.or_else(|| released.pop().map(|release| release.text)) else { continue };
            let table = Table::of(&history.event, &schema).map_err(|error| CliError::unusable(&error))?;
            let name = table_name(&history.event);
            if let Some(other) = events.iter().find(|other| other.name.eq_ignore_ascii_case(&name)) {
                let (event, other) = (&history.event, &other.event);
                let message =
                    format!("{event} and {other} would both be the table {name}; export one of them at a time");
                return Err(CliError::usage(message));
            }
            let topic = arguments.topic.clone().unwrap_or_else(|| history.source.clone());
            let (event, source) = (history.event, history.source);
            events.push(ExportedEvent { event, source, topic, name, table, schema, released });
        }
        let brokers = settings.kafka(&arguments.kafka)?.brokers().to_owned();
        let registry = settings.registry_url(&arguments.registry).unwrap_or_else(|| "http://localhost:8081".to_owned());
        let location = arguments.location.trim_end_matches('/').to_owned();
        Ok(Self { events, brokers, registry, location })
    }

    /// The events by topic, in the topics' order.
    pub(super) fn by_topic(&self) -> BTreeMap<&str, Vec<&ExportedEvent>> {
        let mut topics: BTreeMap<&str, Vec<&ExportedEvent>> = BTreeMap::new();
        for event in &self.events {
            topics.entry(&event.topic).or_default().push(event);
        }
        topics
    }
}

/// The event's name without what would have to be quoted everywhere.
pub(super) fn table_name(event: &str) -> String {
    event.replace(['.', '-'], "_")
}
