//! Spans by OpenTelemetry's messaging conventions, with the fields `tracing-opentelemetry` understands.
//!
//! Their level is `DEBUG` and their target is `tidings::spans`. The macros look first whether anyone wants one: where nobody does, no
//! field is read.

use tracing::Span;
use tracing::field::Empty;

use super::names;
#[cfg(feature = "consumer")]
use crate::causality::TraceParent;
#[cfg(feature = "consumer")]
use crate::dispatch::Delivery;
#[cfg(feature = "consumer")]
use crate::outcome::Outcome;
#[cfg(feature = "consumer")]
use crate::transport::TopicPartition;

const TARGET: &str = "tidings::spans";

/// A batch that was fetched: while it is queued, and handlers that are ready at once run.
#[cfg(feature = "consumer")]
pub(crate) fn poll(group: &str, partition: &TopicPartition, records: usize) -> Span {
    tracing::debug_span!(
        target: TARGET,
        parent: None,
        names::POLL,
        otel.name = format_args!("poll {}", partition.topic),
        otel.kind = "client",
        messaging.system = names::KAFKA,
        messaging.operation.name = names::POLL,
        messaging.operation.type = names::RECEIVE,
        messaging.consumer.group.name = group,
        messaging.destination.name = &*partition.topic,
        messaging.destination.partition.id = partition.partition,
        messaging.batch.message_count = records,
    )
}

/// One attempt of a handler. It belongs to the producer's trace, and is linked to the producer's span.
#[cfg(feature = "consumer")]
pub(crate) fn process(delivery: &Delivery) -> Span {
    let span = tracing::debug_span!(
        target: TARGET,
        parent: None,
        names::PROCESS,
        otel.name = format_args!("process {}", delivery.record().topic),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = names::KAFKA,
        messaging.operation.name = names::PROCESS,
        messaging.operation.type = names::PROCESS,
        messaging.consumer.group.name = delivery.group(),
        messaging.destination.name = &*delivery.record().topic,
        messaging.destination.partition.id = delivery.record().partition,
        messaging.kafka.offset = delivery.record().offset,
        messaging.message.id = delivery.envelope().id(),
        tidings.event = delivery.envelope().event(),
        tidings.handler = delivery.handler(),
        tidings.attempt = delivery.attempt(),
        trace_id = Empty,
        parent_span_id = Empty,
        error.type = Empty,
    );
    if !span.is_disabled() {
        follow_producer(&span, delivery);
    }
    span
}

/// One attempt of a handler of batches. Its events may have many producers: it is linked to the span of each, and in no one's trace.
#[cfg(feature = "consumer")]
pub(crate) fn process_batch(deliveries: &[Delivery]) -> Span {
    let Some(first) = deliveries.first() else { return Span::none() };
    let span = tracing::debug_span!(
        target: TARGET,
        parent: None,
        names::PROCESS,
        otel.name = format_args!("process {}", first.record().topic),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = names::KAFKA,
        messaging.operation.name = names::PROCESS,
        messaging.operation.type = names::PROCESS,
        messaging.consumer.group.name = first.group(),
        messaging.destination.name = &*first.record().topic,
        messaging.batch.message_count = deliveries.len(),
        tidings.handler = first.handler(),
        error.type = Empty,
    );
    #[cfg(feature = "opentelemetry")]
    if !span.is_disabled() {
        for delivery in deliveries {
            if let Some(producer) = producer_of(delivery) {
                super::opentelemetry::link(&span, producer, delivery.envelope().tracestate());
            }
        }
    }
    span
}

/// From sending a commit to the broker's answer.
#[cfg(feature = "consumer")]
pub(crate) fn commit(group: &str, partitions: usize) -> Span {
    tracing::debug_span!(
        target: TARGET,
        parent: None,
        names::COMMIT,
        otel.name = "commit",
        otel.kind = "client",
        otel.status_code = Empty,
        messaging.system = names::KAFKA,
        messaging.operation.name = names::COMMIT,
        messaging.operation.type = names::SETTLE,
        messaging.consumer.group.name = group,
        tidings.partitions = partitions,
        error.type = Empty,
    )
}

/// An event that is made to be recorded with its transaction. Its record carries this span, where OpenTelemetry has it.
#[cfg(feature = "publisher")]
pub(crate) fn create(topic: &str, event: &str, event_id: uuid::Uuid) -> Span {
    tracing::debug_span!(
        target: TARGET,
        names::CREATE,
        otel.name = format_args!("create {topic}"),
        otel.kind = "producer",
        messaging.system = names::KAFKA,
        messaging.operation.name = names::CREATE,
        messaging.operation.type = names::CREATE,
        messaging.destination.name = topic,
        messaging.message.id = %event_id,
        tidings.event = event,
    )
}

/// A record of the outbox, from the client's queue to its acknowledgement. It belongs to the trace of the transaction that
/// published it, and is a child of the span that did.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(crate) fn send(topic: &str, event: &str, event_id: &str, traceparent: &str) -> Span {
    let span = tracing::debug_span!(
        target: TARGET,
        parent: None,
        names::SEND,
        otel.name = format_args!("send {topic}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = names::KAFKA,
        messaging.operation.name = names::SEND,
        messaging.operation.type = names::SEND,
        messaging.destination.name = topic,
        messaging.message.id = event_id,
        tidings.event = event,
        trace_id = Empty,
        parent_span_id = Empty,
        error.type = Empty,
    );
    if !span.is_disabled()
        && let Some(parent) = crate::causality::TraceParent::parse(traceparent)
    {
        span.record("trace_id", &*parent.trace_id_text());
        span.record("parent_span_id", &*parent.span_id_text());
        #[cfg(feature = "opentelemetry")]
        super::opentelemetry::follow(&span, parent, None);
    }
    span
}

/// An event on its way straight to Kafka, from when the publisher takes it to its acknowledgement, where someone awaits that. It is a
/// child of the span that publishes. Its record carries this span, where OpenTelemetry has it.
#[cfg(feature = "publisher")]
pub(crate) fn send_directly(topic: &str, event: &str, event_id: uuid::Uuid) -> Span {
    tracing::debug_span!(
        target: TARGET,
        names::SEND,
        otel.name = format_args!("send {topic}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = names::KAFKA,
        messaging.operation.name = names::SEND,
        messaging.operation.type = names::SEND,
        messaging.destination.name = topic,
        messaging.destination.partition.id = Empty,
        messaging.message.id = %event_id,
        tidings.event = event,
        error.type = Empty,
    )
}

/// The record of `span` was written to `partition`.
#[cfg(feature = "publisher")]
pub(crate) fn written(span: &Span, partition: i32) {
    span.record(names::PARTITION, partition);
}

/// Mark `span` as failed.
pub(crate) fn fail(span: &Span, error_type: &str) {
    span.record("otel.status_code", "ERROR");
    span.record(names::ERROR_TYPE, error_type);
}

/// A word for what failed; `None` where nothing did.
#[cfg(feature = "consumer")]
pub(crate) fn error_type(outcome: &Outcome) -> Option<&'static str> {
    if let Outcome::Retry { error, .. } | Outcome::DeadLetter { error } | Outcome::Park { error } = outcome {
        return Some(error.class().as_str());
    }
    None
}

#[cfg(feature = "consumer")]
fn follow_producer(span: &Span, delivery: &Delivery) {
    let Some(parent) = producer_of(delivery) else { return };
    span.record("trace_id", &*parent.trace_id_text());
    span.record("parent_span_id", &*parent.span_id_text());
    #[cfg(feature = "opentelemetry")]
    super::opentelemetry::follow(span, parent, delivery.envelope().tracestate());
}

/// The producer's span.
#[cfg(feature = "consumer")]
fn producer_of(delivery: &Delivery) -> Option<TraceParent> {
    delivery.envelope().traceparent().and_then(TraceParent::parse)
}
