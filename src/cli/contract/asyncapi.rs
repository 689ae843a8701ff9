//! An AsyncAPI 3.1 document: a channel a topic, a message a version of an event, an operation a handler and a published event.
//!
//! Extensions of EventCatalog say what AsyncAPI does not: that a message is an event, its version, and who owns it.

use serde_json::{Map, Value, json};

use super::ContractArguments;
use super::services::{PublishedEvent, Services};
use crate::consumer::RouteListing;
use crate::envelope::header;

/// The version of the Kafka bindings.
const BINDING: &str = "0.5.0";

/// The media type by which AsyncAPI knows an Avro schema.
const AVRO: &str = "application/vnd.apache.avro+json;version=1.9.0";

/// What is named, as it grows.
#[derive(Default)]
struct Parts {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

/// The contract of `service`.
pub(super) fn document(services: &Services, service: &str, arguments: &ContractArguments) -> Value {
    let mut parts = Parts::default();
    if let Some(source) = services.sources.get(service) {
        for event in &source.events {
            let message = message_key(&event.name, &event.version);
            parts.message(&message, &event.name, &event.version, &event.schema, event.doc(), "provider");
            parts.channel(services, service, &message);
            parts
                .operations
                .insert(operation_key(&format!("publish.{}", event.name)), published(service, event, &message));
        }
    }
    let handlers: Vec<&RouteListing> = services.handlers_of(service).collect();
    for handler in &handlers {
        let message = message_key(&handler.event, &handler.payload_version);
        // A service may handle its own events: they are its own all the same.
        if !parts.messages.contains_key(&message) {
            let role = if handler.source == service { "provider" } else { "client" };
            let doc = handler.payload_schema.get("doc").and_then(Value::as_str).unwrap_or_default();
            parts.message(&message, &handler.event, &handler.payload_version, &handler.payload_schema, doc, role);
        }
        parts.channel(services, &handler.source, &message);
        parts.operations.insert(handler_key(handler, &handlers), handled(handler, &message));
    }
    let mut document = json!({
        "asyncapi": "3.1.0",
        "info": {
            "title": service,
            "version": arguments.service_version.to_string(),
            "description": format!("The events that {service} publishes and handles."),
        },
        "defaultContentType": "application/avro",
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"messages": parts.messages, "schemas": {"headers": headers()}},
    });
    if let Some(server) = &arguments.server {
        document["servers"] = json!({"kafka": {"host": server, "protocol": "kafka"}});
    }
    document
}

impl Parts {
    fn message(&mut self, key: &str, event: &str, version: &str, schema: &Value, doc: &str, role: &str) {
        let mut message = json!({
            "name": event,
            "title": event.rsplit('.').next().unwrap_or(event),
            "contentType": "application/avro",
            "headers": {"$ref": "#/components/schemas/headers"},
            "bindings": {"kafka": {
                "key": {"type": "string", "description": "The key, UTF-8: usually the user's id."},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicRecordNameStrategy",
                "bindingVersion": BINDING,
            }},
            "x-eventcatalog-message-type": "event",
            "x-eventcatalog-message-version": version,
            "x-eventcatalog-role": role,
        });
        if !doc.is_empty() {
            message["summary"] = doc.into();
        }
        // A listing of an older version knows no schemas.
        if schema.is_object() {
            message["payload"] = json!({"schemaFormat": AVRO, "schema": schema});
        }
        self.messages.insert(key.to_owned(), message);
    }

    fn channel(&mut self, services: &Services, source: &str, message: &str) {
        let channel = self.channels.entry(source).or_insert_with(|| {
            let mut kafka = json!({"topic": source, "bindingVersion": BINDING});
            if let Some(topic) = services.sources.get(source).and_then(|source| source.topic.as_ref()) {
                kafka["partitions"] = topic.partitions().into();
            }
            json!({
                "address": source,
                "description": format!("The events of {source}, partitioned by key."),
                "messages": {},
                "bindings": {"kafka": kafka},
                "x-eventcatalog-channel-version": "1.0.0",
            })
        });
        channel["messages"][message] = json!({"$ref": format!("#/components/messages/{message}")});
    }
}

fn published(service: &str, event: &PublishedEvent, message: &str) -> Value {
    let mut operation = operation("send", service, message);
    operation["title"] = format!("Publishes {}", event.name).into();
    operation
}

fn handled(handler: &RouteListing, message: &str) -> Value {
    let mut operation = operation("receive", &handler.source, message);
    operation["title"] = format!("{}::{}", handler.dispatcher, handler.handler).into();
    let docs = handler.docs.trim();
    if let Some(summary) = docs.lines().next().filter(|summary| !summary.is_empty()) {
        operation["summary"] = summary.into();
        operation["description"] = docs.into();
    }
    operation["bindings"] = json!({"kafka": {
        "groupId": {"type": "string", "enum": [handler.group]},
        "bindingVersion": BINDING,
    }});
    operation["x-tidings-versions"] = handler.versions.clone().into();
    operation["x-tidings-order"] = handler.order.clone().into();
    operation["x-tidings-max-attempts"] = handler.max_attempts.into();
    operation["x-tidings-on-exhausted"] = handler.on_exhausted.clone().into();
    operation
}

fn operation(action: &str, source: &str, message: &str) -> Value {
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{source}")},
        "messages": [{"$ref": format!("#/channels/{source}/messages/{message}")}],
    })
}

/// What the headers of every event are: CloudEvents in Kafka's binary mode.
fn headers() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "CloudEvents 1.0 in Kafka's binary content mode.",
        "required": [header::SPEC_VERSION, header::ID, header::SOURCE, header::TYPE, header::SCHEMA_VERSION, header::TIME],
        "properties": {
            (header::SPEC_VERSION): {"type": "string", "const": "1.0"},
            (header::ID): {"type": "string", "format": "uuid", "description": "The event's id."},
            (header::SOURCE): text("The publishing service, as /accounts."),
            (header::TYPE): text("The event's name, as accounts.UserUpdated."),
            (header::SCHEMA_VERSION): text("The payload's version, a semantic version."),
            (header::TIME): {"type": "string", "format": "date-time", "description": "When it happened."},
            (header::RECORDED_TIME): {"type": "string", "format": "date-time", "description": "When it was recorded."},
            (header::SUBJECT): text("The stream, as Account/42."),
            (header::SEQUENCE): text("The position in the stream, of 20 digits."),
            (header::STREAM_EPOCH): text("How often the stream's numbers began anew; absent while 0."),
            (header::PARTITION_KEY): text("The key."),
            (header::CORRELATION_ID): text("What the event belongs to."),
            (header::CAUSATION_ID): text("The event that caused it."),
            (header::DATA_SCHEMA): {"type": "string", "format": "uri-reference", "description": "The payload's schema."},
            (header::CONTENT_TYPE): {"type": "string", "const": "application/avro"},
            (header::TRACEPARENT): text("The W3C trace context of the publishing span."),
            (header::TRACESTATE): text("The vendors' part of the trace context."),
        },
    })
}

/// Names of messages may have letters, digits, points, underscores and hyphens.
fn message_key(event: &str, version: &str) -> String {
    plain(&format!("{event}-{version}"))
}

fn operation_key(name: &str) -> String {
    plain(name)
}

/// The operation of one of `handlers`: its dispatcher and itself, and more where others have that in common, whichever comes first.
fn handler_key(handler: &RouteListing, handlers: &[&RouteListing]) -> String {
    let short = |of: &RouteListing| operation_key(&format!("{}.{}", of.dispatcher, of.handler));
    let with_group = |of: &RouteListing| operation_key(&format!("{}.{}.{}", of.group, of.dispatcher, of.handler));
    let is_alone =
        |key: &dyn Fn(&RouteListing) -> String| handlers.iter().filter(|other| key(other) == key(handler)).count() == 1;
    if is_alone(&short) {
        short(handler)
    } else if is_alone(&with_group) {
        with_group(handler)
    } else {
        // Dispatchers of one name in one group, from two modules: a method handles one event.
        operation_key(&format!("{}.{}.{}.{}", handler.group, handler.dispatcher, handler.handler, handler.event))
    }
}

fn plain(name: &str) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    name.chars().map(|character| if legal(character) { character } else { '_' }).collect()
}
