//! A Mermaid state diagram: the life of an event, from what records it to what each handler makes of it.

use std::fmt::Write as _;

use super::text::{Diagram, Ids, label};
use crate::cli::contract::services::Services;
use crate::consumer::RouteListing;
use crate::publisher::DeliveryMode;

/// The states of the events of all services, or of those that `service` publishes and handles.
pub(in crate::cli::contract) fn states(services: &Services, service: Option<&str>) -> String {
    let handlers = services.handlers_around(service);
    let mut ids = Ids::default();
    let mut diagram = Diagram::new("stateDiagram-v2");
    for source in services.sources_around(service) {
        let topic = published(&mut diagram, &mut ids, source, services.modes.get(source));
        for handler in handlers.iter().filter(|handler| handler.source == source) {
            let name = format!("{}.{}", handler.group, handler.handler);
            let id = ids.of("handler", &format!("{source} {name} {} {}", handler.event, handler.versions));
            diagram.line(1, &format!("state \"{}\" as {id} {{", label(&name)));
            taken(&mut diagram, &id, handler);
            diagram.line(1, "}");
            let event = match handler.versions.as_str() {
                "*" => handler.event.clone(),
                versions => format!("{} {versions}", handler.event),
            };
            diagram.line(1, &format!("{topic} --> {id} : {}", label(&event)));
        }
    }
    diagram.into_text()
}

/// From the change that is an event to the topic; the topic's state.
fn published(diagram: &mut Diagram, ids: &mut Ids, source: &str, mode: Option<&DeliveryMode>) -> String {
    let mut state = |diagram: &mut Diagram, kind: &'static str, text: &str| {
        let id = ids.of(kind, source);
        diagram.line(1, &format!("state \"{}\" as {id}", label(text)));
        id
    };
    let recorded = state(diagram, "recorded", &format!("recorded by {source}"));
    diagram.line(1, &format!("[*] --> {recorded}"));
    let steps: &[(&'static str, &str, &str)] = match mode {
        None => &[("topic", "on the topic", "")],
        Some(DeliveryMode::Direct { .. }) => {
            &[("topic", "on the topic", "published at once, or lost with the process")]
        }
        Some(DeliveryMode::Outbox) => &[
            ("outbox", "in the outbox", "committed with the change"),
            ("topic", "on the topic", "published by the relay, in the order of its stream"),
        ],
        Some(DeliveryMode::Store) => &[
            ("outbox", "in the outbox", "committed with the change"),
            ("store", "in the event store", "taken behind its predecessor only"),
            ("topic", "on the topic", "forwarded in the order of its stream"),
        ],
    };
    let mut from = recorded;
    for (kind, place, how) in steps {
        let to = state(diagram, kind, &format!("{place} of {source}").replace("on the topic of", "on the topic"));
        let how = if how.is_empty() { String::new() } else { format!(" : {}", label(how)) };
        diagram.line(1, &format!("{from} --> {to}{how}"));
        from = to;
    }
    from
}

/// What a handler makes of an event, by its own policy.
fn taken(diagram: &mut Diagram, id: &str, handler: &RouteListing) {
    let mut line = |text: String| diagram.line(2, &text);
    let state = |name: &str, text: &str| format!("state \"{}\" as {id}_{name}", label(text));
    line(state("attempt", &attempt(handler)));
    line(state("handled", "handled"));
    line(format!("[*] --> {id}_attempt"));
    line(format!("{id}_attempt --> {id}_handled"));
    line(format!("{id}_handled --> [*]"));
    if handler.max_attempts > 1 {
        let others = match handler.order.as_str() {
            "partition" => "the partition waits",
            "unordered" => "nobody else waits",
            _ => "its key waits",
        };
        line(state("retried", &format!("to be retried, {others}")));
        let failed = format!("fails, or takes longer than {} ms", handler.timeout_ms);
        line(format!("{id}_attempt --> {id}_retried : {}", label(&failed)));
        line(format!("{id}_retried --> {id}_attempt"));
    }
    let (name, text) = match handler.on_exhausted.as_str() {
        "dead_letter" => ("dead", "dead-lettered".to_owned()),
        "park_key" => ("parked", "parked with its key".to_owned()),
        "stop" => ("stopped", "the consumer stops at it".to_owned()),
        other => ("given_up", other.to_owned()),
    };
    line(state(name, &text));
    let attempts = match handler.max_attempts {
        1 => "fails once".to_owned(),
        attempts => format!("given up after {attempts} attempts at most"),
    };
    line(format!("{id}_attempt --> {id}_{name} : {}", label(&attempts)));
    match name {
        "parked" => {
            line(format!("{id}_parked --> {id}_attempt : its key is released"));
            line(format!("{id}_parked --> [*] : it is discarded"));
        }
        "stopped" => line(format!("{id}_stopped --> {id}_attempt : the service starts anew")),
        _ => line(format!("{id}_{name} --> [*]")),
    }
}

fn attempt(handler: &RouteListing) -> String {
    let mut text = match &handler.batch {
        Some(batch) => format!("being handled, up to {} at once or after {} ms", batch.max, batch.wait_ms),
        None => "being handled".to_owned(),
    };
    // Writing to a string cannot fail.
    if let Some(concurrency) = handler.concurrency {
        let _ = write!(text, ", {concurrency} at a time");
    }
    if let Some(rate) = handler.rate {
        let _ = write!(text, ", {rate} a second");
    }
    text
}
