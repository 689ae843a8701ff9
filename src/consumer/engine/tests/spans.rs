//! Spans: who wants none pays for none; who wants them sees the way of an event, in its producer's trace.

#[cfg(feature = "opentelemetry")]
use std::sync::Arc;

#[cfg(feature = "opentelemetry")]
use parking_lot::Mutex;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry};

use super::rig::{EVENT, Rig, TOPIC, options};
use crate::dispatch::{BatchPolicy, Delivery, Policy};
use crate::envelope::header;
use crate::outcome::{HandlerError, Outcome};
use crate::telemetry::recorded::{Recorder, subscribe};
use crate::transport::Headers;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn publish_traced(rig: &Rig, key: &str) {
    let mut headers = Headers::new();
    headers.push_str(header::TYPE, EVENT);
    headers.push_str(header::SCHEMA_VERSION, "1.0.0");
    headers.push_str(header::ID, "event-1");
    headers.push_str(header::TRACEPARENT, PARENT);
    rig.broker.append(TOPIC, 1, Some(key.as_bytes()), Some(b"payload"), headers);
}

#[tokio::test(start_paused = true)]
async fn the_way_of_an_event_is_seen_in_its_producers_trace() {
    let recorder = Recorder::default();
    let subscriber = Registry::default().with(recorder.clone().with_filter(LevelFilter::from_level(Level::DEBUG)));
    let _subscribed = subscribe(subscriber);
    let rig = Rig::start(options(), |delivery| async move {
        if delivery.attempt() == 1 { HandlerError::from("away").into() } else { Outcome::Done }
    });
    publish_traced(&rig, "42");
    rig.until("it is committed", |rig| rig.broker.committed(TOPIC, 1) == Some(1)).await;
    rig.until("the commit is told", |_| !recorder.named("commit").is_empty()).await;

    let process = recorder.named("process");
    assert_eq!(process.len(), 2, "{process:?}");
    process[0].assert_fields(&[
        ("otel.name", "process accounts"),
        ("otel.kind", "consumer"),
        ("messaging.system", "kafka"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "accounts"),
        ("messaging.destination.partition.id", "1"),
        ("messaging.kafka.offset", "0"),
        ("messaging.consumer.group.name", "tests.Tests"),
        ("messaging.message.id", "event-1"),
        ("tidings.handler", "Tests::handler"),
        ("tidings.event", EVENT),
        ("tidings.attempt", "1"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("parent_span_id", "00f067aa0ba902b7"),
        ("error.type", "retryable"),
        ("otel.status_code", "ERROR"),
    ]);
    process[1].assert_fields(&[("tidings.attempt", "2"), ("error.type", "")]);
    // People's data stays out of traces.
    assert!(!format!("{process:?}").contains("\"42\""), "{process:?}");
    recorder.named("poll")[0].assert_fields(&[("messaging.batch.message_count", "1"), ("otel.kind", "client")]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_one_span_of_its_own() {
    let recorder = Recorder::default();
    let subscriber = Registry::default().with(recorder.clone().with_filter(LevelFilter::from_level(Level::DEBUG)));
    let _subscribed = subscribe(subscriber);
    let policy = BatchPolicy::new(2, std::time::Duration::from_millis(50));
    let rig = Rig::start_batches(options(), Policy::INHERIT, policy, |deliveries| async move {
        assert!(!tracing::Span::current().is_disabled());
        let again = || HandlerError::from("away").into();
        let outcome = |delivery: &Delivery| if delivery.attempt() == 1 { again() } else { Outcome::Done };
        deliveries.iter().map(outcome).collect()
    });
    publish_traced(&rig, "42");
    publish_traced(&rig, "43");
    rig.until("both are committed", |rig| rig.broker.committed(TOPIC, 1) == Some(2)).await;
    let process = recorder.named("process");
    process[0].assert_fields(&[
        ("otel.name", "process accounts"),
        ("otel.kind", "consumer"),
        ("messaging.batch.message_count", "2"),
        ("messaging.consumer.group.name", "tests.Tests"),
        ("tidings.handler", "Tests::handler"),
        ("error.type", "retryable"),
        ("otel.status_code", "ERROR"),
    ]);
    process.last().unwrap().assert_fields(&[("error.type", "")]);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_wants_no_spans_has_none() {
    let recorder = Recorder::default();
    let subscriber = Registry::default().with(recorder.clone().with_filter(LevelFilter::INFO));
    let _subscribed = subscribe(subscriber);
    let rig = Rig::start(options(), |_| async {
        assert!(tracing::Span::current().is_disabled());
        Outcome::Done
    });
    publish_traced(&rig, "42");
    rig.until("it is committed", |rig| rig.broker.committed(TOPIC, 1) == Some(1)).await;
    assert!(recorder.is_empty());
}

#[cfg(feature = "opentelemetry")]
#[tokio::test(start_paused = true)]
async fn opentelemetry_shows_the_attempt_in_the_producers_trace_linked_and_passes_it_on() {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let _subscribed = subscribe(Registry::default().with(layer));
    let published = Arc::new(Mutex::new(String::new()));
    let caused = Arc::clone(&published);
    let rig = Rig::start(options(), move |_| {
        let caused = Arc::clone(&caused);
        async move {
            *caused.lock() = crate::causality::Causality::current().next_traceparent();
            Outcome::Done
        }
    });
    publish_traced(&rig, "42");
    rig.until("it is committed", |rig| rig.broker.committed(TOPIC, 1) == Some(1)).await;
    provider.force_flush().unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    let process = spans.iter().find(|span| span.name == "process accounts").unwrap_or_else(|| panic!("{spans:?}"));
    let trace = process.span_context.trace_id().to_string();
    assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(process.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(process.links.iter().next().unwrap().span_context.span_id().to_string(), "00f067aa0ba902b7");
    // What the handler publishes is caused by the attempt.
    assert_eq!(*published.lock(), format!("00-{trace}-{}-01", process.span_context.span_id()));
}

#[cfg(feature = "opentelemetry")]
#[tokio::test(start_paused = true)]
async fn opentelemetry_links_a_batch_to_each_of_its_producers() {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let _subscribed = subscribe(Registry::default().with(layer));
    let policy = BatchPolicy::new(2, std::time::Duration::from_millis(50));
    let rig = Rig::start_batches(options(), Policy::INHERIT, policy, |deliveries| async move {
        deliveries.iter().map(|_| Outcome::Done).collect()
    });
    publish_traced(&rig, "42");
    publish_traced(&rig, "43");
    rig.until("both are committed", |rig| rig.broker.committed(TOPIC, 1) == Some(2)).await;
    provider.force_flush().unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    let process = spans.iter().find(|span| span.name == "process accounts").unwrap_or_else(|| panic!("{spans:?}"));
    let linked: Vec<_> = process.links.iter().map(|link| link.span_context.span_id().to_string()).collect();
    assert_eq!(linked, ["00f067aa0ba902b7", "00f067aa0ba902b7"]);
    assert_ne!(process.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}
