//! A Mermaid sequence diagram: who publishes what by which way to which topic, and whose handlers take it.
//!
//! A service that handles a source's events comes before the events it publishes itself: contracts do not say which handler publishes
//! what, but they say that it can be no earlier.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{Diagram, Ids, label};
use crate::cli::contract::services::Services;
use crate::consumer::RouteListing;
use crate::publisher::DeliveryMode;
use crate::transport::Acks;

/// The sequence of all services, or of what `service` publishes and handles.
pub(in crate::cli::contract) fn sequence(services: &Services, service: Option<&str>) -> String {
    let handlers = services.handlers_around(service);
    let sources = in_turn(&services.sources_around(service), &handlers);
    let mut ids = Ids::default();
    let mut diagram = Diagram::new("sequenceDiagram");
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut participant = |diagram: &mut Diagram, kind: &'static str, name: &str, shown: &str| {
        let id = ids.of(kind, name);
        if seen.insert(id.clone()) {
            diagram.line(1, &format!("participant {id} as {}", label(shown)));
        }
        id
    };
    let mut steps: Vec<String> = Vec::new();
    for source in sources {
        let publisher = participant(&mut diagram, "service", source, source);
        let mode = services.modes.get(source);
        let way = match mode {
            None | Some(DeliveryMode::Direct { .. }) => Vec::new(),
            Some(DeliveryMode::Outbox) => vec![("outbox", "the outbox of")],
            Some(DeliveryMode::Store) => vec![("outbox", "the outbox of"), ("store", "the event store of")],
        };
        let way: Vec<String> = way
            .into_iter()
            .map(|(kind, what)| participant(&mut diagram, kind, source, &format!("{what} {source}")))
            .collect();
        let topic = participant(&mut diagram, "topic", source, &format!("topic {source}"));
        let of_source = handlers.iter().filter(|handler| handler.source == source);
        for event in events_of(services, source, of_source.clone()) {
            let mut from = &publisher;
            for (step, to) in way.iter().chain([&topic]).enumerate() {
                let how = match (mode, step) {
                    (None, _) => String::new(),
                    (Some(DeliveryMode::Direct { acks }), _) => format!(", acknowledged by {}", acks_in_words(*acks)),
                    (Some(_), 0) => ", in the transaction of the change".to_owned(),
                    (Some(_), _) => ", by the relay".to_owned(),
                };
                let arrow = if matches!(mode, Some(DeliveryMode::Direct { .. })) { "-)" } else { "->>" };
                steps.push(format!("{from}{arrow}{to}: {}{}", label(&event.shown), label(&how)));
                from = to;
            }
            for handler in of_source.clone().filter(|handler| handler.event == event.name) {
                let service = if handler.service.is_empty() { &handler.group } else { &handler.service };
                let to = participant(&mut diagram, "service", service, service);
                let versions = if handler.versions == "*" { "every version" } else { &handler.versions };
                let text = format!("{}.{} takes {versions}", handler.dispatcher, handler.handler);
                steps.push(format!("{topic}->>{to}: {}", label(&text)));
            }
        }
    }
    for step in steps {
        diagram.line(1, &step);
    }
    diagram.into_text()
}

/// An event of a source: what it is called, and that with its version.
struct Shown {
    name: String,
    shown: String,
}

/// The events that are published, and those that somebody waits for.
fn events_of<'h>(
    services: &Services,
    source: &str,
    handlers: impl Iterator<Item = &'h &'h RouteListing>,
) -> Vec<Shown> {
    let mut events: BTreeMap<&str, String> =
        handlers.map(|handler| (handler.event.as_str(), handler.event.clone())).collect();
    for event in services.sources.get(source).into_iter().flat_map(|source| &source.events) {
        events.insert(&event.name, format!("{} {}", event.name, event.version));
    }
    events.into_iter().map(|(name, shown)| Shown { name: name.to_owned(), shown }).collect()
}

/// The sources, each behind those whose events its service handles, as far as that goes: services may handle each other's.
fn in_turn<'s>(sources: &BTreeSet<&'s str>, handlers: &[&RouteListing]) -> Vec<&'s str> {
    let mut left = sources.clone();
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = left.first().copied() {
        let waits = |source: &str| {
            handlers.iter().any(|handler| {
                handler.service == source && handler.source != source && left.contains(handler.source.as_str())
            })
        };
        let next = left.iter().copied().find(|source| !waits(source)).unwrap_or(first);
        left.remove(next);
        order.push(next);
    }
    order
}

fn acks_in_words(acks: Acks) -> &'static str {
    match acks {
        Acks::None => "nobody",
        Acks::Leader => "the leader",
        Acks::All => "all replicas",
    }
}
