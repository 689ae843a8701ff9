//! A Mermaid flowchart: sources, the events they publish, and the handlers that take them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::services::Services;
use crate::consumer::RouteListing;

/// The graph of all services, or of what `service` publishes and handles.
pub(super) fn graph(services: &Services, service: Option<&str>) -> String {
    let handlers: Vec<&RouteListing> = services
        .handlers
        .iter()
        .filter(|handler| service.is_none_or(|name| handler.service == name || handler.source == name))
        .collect();
    // An event is there when it is published, and when somebody waits for it.
    let mut events: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (source, published) in &services.sources {
        if service.is_none_or(|name| name == source) {
            events.entry(source).or_default().extend(published.events.iter().map(|event| event.name.as_str()));
        }
    }
    for handler in &handlers {
        events.entry(&handler.source).or_default().insert(&handler.event);
    }
    let mut groups: BTreeMap<(&str, &str), Vec<&RouteListing>> = BTreeMap::new();
    for handler in &handlers {
        groups.entry((&handler.service, &handler.group)).or_default().push(handler);
    }
    let mut ids = Ids::default();
    let mut text = String::from("flowchart LR\n");
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for (source, names) in &events {
        let id = ids.of("source", source);
        line(format!("  {id}[/\"{}\"/]", label(source)));
        for name in names {
            let event = ids.of("event", name);
            line(format!("  {event}([\"{}\"])", label(name)));
            line(format!("  {id} --> {event}"));
        }
    }
    for ((_, group), handlers) in &groups {
        line(format!("  subgraph {}[\"{}\"]", ids.of("group", group), label(group)));
        for handler in handlers {
            let id = ids.of("handler", &format!("{group}::{}", handler.handler));
            line(format!("    {id}[\"{}\"]", label(&handler.handler)));
        }
        line("  end".to_owned());
        for handler in handlers {
            let (event, id) =
                (ids.of("event", &handler.event), ids.of("handler", &format!("{group}::{}", handler.handler)));
            line(match handler.versions.as_str() {
                "*" => format!("  {event} --> {id}"),
                versions => format!("  {event} -->|\"{}\"| {id}", label(versions)),
            });
        }
    }
    text
}

/// Short names for nodes: Mermaid takes only plain words.
#[derive(Default)]
struct Ids {
    known: BTreeMap<(&'static str, String), String>,
}

impl Ids {
    fn of(&mut self, kind: &'static str, name: &str) -> String {
        let next = self.known.len() + 1;
        self.known.entry((kind, name.to_owned())).or_insert_with(|| format!("{kind}{next}")).clone()
    }
}

/// A text within quotes, with what would end them or begin markup written as entities.
fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' => {
                // Writing to a string cannot fail.
                let _ = write!(label, "#{};", u32::from(character));
            }
            '\n' | '\r' | '\t' => label.push(' '),
            other => label.push(other),
        }
    }
    label
}
