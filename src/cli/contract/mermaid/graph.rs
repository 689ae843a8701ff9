//! A Mermaid flowchart: sources, the events they publish, and the handlers that take them.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{Diagram, Ids, label};
use crate::cli::contract::services::Services;
use crate::consumer::RouteListing;

/// The graph of all services, or of what `service` publishes and handles.
pub(in crate::cli::contract) fn graph(services: &Services, service: Option<&str>) -> String {
    let handlers = services.handlers_around(service);
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
    let mut diagram = Diagram::new("flowchart LR");
    let mut line = |line: String| diagram.line(1, &line);
    for (source, names) in &events {
        let id = ids.of("source", source);
        line(format!("{id}[/\"{}\"/]", label(source)));
        for name in names {
            let event = ids.of("event", name);
            line(format!("{event}([\"{}\"])", label(name)));
            line(format!("{id} --> {event}"));
        }
    }
    for ((_, group), handlers) in &groups {
        line(format!("subgraph {}[\"{}\"]", ids.of("group", group), label(group)));
        for handler in handlers {
            let id = ids.of("handler", &format!("{group}::{}", handler.handler));
            line(format!("  {id}[\"{}\"]", label(&handler.handler)));
        }
        line("end".to_owned());
        for handler in handlers {
            let (event, id) =
                (ids.of("event", &handler.event), ids.of("handler", &format!("{group}::{}", handler.handler)));
            line(match handler.versions.as_str() {
                "*" => format!("{event} --> {id}"),
                versions => format!("{event} -->|\"{}\"| {id}", label(versions)),
            });
        }
    }
    diagram.into_text()
}
