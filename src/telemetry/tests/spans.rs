//! The spans of an event that is published, under the target and at the level that are promised.

use tracing::{Instrument as _, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry};

use super::*;
use crate::causality::TraceParent;
use crate::envelope::header;
use crate::outbox::status;
use crate::telemetry::recorded::{Recorded, Recorder, subscribe};
use crate::transport::{ProduceError, Record};

/// A subscriber that lets through what is promised, and the test's own spans.
fn subscriber(recorder: &Recorder) -> impl tracing::Subscriber + Send + Sync {
    let targets = Targets::new().with_target("tidings::spans", Level::DEBUG).with_target("request", Level::DEBUG);
    Registry::default().with(recorder.clone().with_filter(targets))
}

fn request() -> tracing::Span {
    tracing::debug_span!(target: "request", "request")
}

fn only(recorder: &Recorder, name: &str) -> Recorded {
    let mut spans = recorder.named(name);
    assert_eq!(spans.len(), 1, "{spans:?}");
    let span = spans.remove(0);
    assert_eq!((span.metadata.target(), *span.metadata.level()), ("tidings::spans", Level::DEBUG));
    span
}

fn header<'a>(record: &'a Record, name: &str) -> &'a str {
    record.headers.get_str(name).unwrap()
}

fn refused(record: &crate::transport::OutgoingRecord) -> ProduceError {
    ProduceError::Refused { topic: Arc::clone(&record.topic), reason: "told to".into(), retryable: true }
}

async fn until_empty(database: &Database) {
    eventually("the outbox is empty", async || status(database).await.unwrap().rows() == 0).await;
}

#[tokio::test]
async fn an_event_is_created_where_it_is_published_and_sent_in_the_trace_of_its_record() {
    let recorder = Recorder::default();
    let _subscribed = subscribe(subscriber(&recorder));
    let kafka = MemoryProducer::new(1);
    let database = database(&kafka).await;
    publish(&database).instrument(request()).await;
    let relay = relay(&database, &kafka);
    until_empty(&database).await;
    relay.shutdown().await.unwrap();

    let written = kafka.written();
    let id = header(&written[0], header::ID);
    let create = only(&recorder, "create");
    create.assert_fields(&[
        ("otel.name", "create accounts"),
        ("otel.kind", "producer"),
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "create"),
        ("messaging.operation.type", "create"),
        ("messaging.destination.name", "accounts"),
        ("messaging.message.id", id),
        ("tidings.event", "accounts.Renamed"),
    ]);
    assert_eq!(create.parent, Some("request"));
    let trace = TraceParent::parse(header(&written[0], header::TRACEPARENT)).unwrap();
    let send = only(&recorder, "send");
    send.assert_fields(&[
        ("otel.name", "send accounts"),
        ("otel.kind", "producer"),
        ("otel.status_code", ""),
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "accounts"),
        ("messaging.message.id", id),
        ("tidings.event", "accounts.Renamed"),
        ("trace_id", &trace.trace_id_text()),
        ("parent_span_id", &trace.span_id_text()),
        ("error.type", ""),
    ]);
    // The relay works for many.
    assert_eq!(send.parent, None);
    // People's data stays out of traces.
    assert!(!format!("{create:?} {send:?}").contains("\"42\""), "{create:?} {send:?}");
}

#[tokio::test]
async fn a_record_of_the_outbox_that_is_not_written_has_a_failed_span_and_then_another() {
    let recorder = Recorder::default();
    let _subscribed = subscribe(subscriber(&recorder));
    let kafka = MemoryProducer::new(1);
    let database = database(&kafka).await;
    publish(&database).await;
    kafka.fail_next(1, refused);
    let relay = relay(&database, &kafka);
    until_empty(&database).await;
    relay.shutdown().await.unwrap();
    let sends = recorder.named("send");
    assert_eq!(sends.len(), 2, "{sends:?}");
    sends[0].assert_fields(&[("error.type", "refused"), ("otel.status_code", "ERROR")]);
    sends[1].assert_fields(&[("error.type", ""), ("otel.status_code", "")]);
}

#[tokio::test]
async fn an_event_that_goes_straight_to_kafka_is_sent_where_it_is_published() {
    let recorder = Recorder::default();
    let _subscribed = subscribe(subscriber(&recorder));
    let kafka = MemoryProducer::new(1);
    let publisher = publisher(&kafka, DIRECT).await;
    let receipt = publisher.publish(&renamed()).instrument(request()).await.unwrap();
    let send = only(&recorder, "send");
    send.assert_fields(&[
        ("otel.name", "send accounts"),
        ("otel.kind", "producer"),
        ("otel.status_code", ""),
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "accounts"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.message.id", &receipt.id().to_string()),
        ("tidings.event", "accounts.Renamed"),
        ("error.type", ""),
    ]);
    assert_eq!(send.parent, Some("request"));

    kafka.fail_next(1, refused);
    publisher.publish(&renamed()).await.unwrap_err();
    publisher.close(Duration::ZERO).await;
    publisher.publish(&renamed()).await.unwrap_err();
    let sends = recorder.named("send");
    sends[1].assert_fields(&[("error.type", "refused"), ("otel.status_code", "ERROR")]);
    sends[2].assert_fields(&[("error.type", "closed"), ("otel.status_code", "ERROR")]);
}

#[tokio::test]
async fn a_publisher_whose_subscriber_wants_no_spans_makes_none() {
    let recorder = Recorder::default();
    let info = tracing_subscriber::filter::LevelFilter::INFO;
    let _subscribed = subscribe(Registry::default().with(recorder.clone().with_filter(info)));
    let kafka = MemoryProducer::new(1);
    publisher(&kafka, DIRECT).await.publish(&renamed()).await.unwrap();
    let database = database(&kafka).await;
    publish(&database).await;
    let relay = relay(&database, &kafka);
    until_empty(&database).await;
    relay.shutdown().await.unwrap();
    for name in ["create", "send"] {
        assert!(recorder.named(name).is_empty(), "{:?}", recorder.named(name));
    }
}

#[cfg(feature = "opentelemetry")]
#[tokio::test]
async fn opentelemetry_shows_what_is_published_as_one_trace_that_goes_on_in_the_record() {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let targets = Targets::new().with_target("tidings::spans", Level::DEBUG).with_target("request", Level::DEBUG);
    let _subscribed = subscribe(Registry::default().with(layer.with_filter(targets)));
    let kafka = MemoryProducer::new(1);
    let finished = || {
        provider.force_flush().unwrap();
        let spans = exporter.get_finished_spans().unwrap();
        exporter.reset();
        move |name: &str| -> SpanData {
            let found = spans.iter().find(|span| span.name == name);
            found.unwrap_or_else(|| panic!("no {name} in {spans:?}")).clone()
        }
    };
    let context = |span: &SpanData| format!("00-{}-{}-01", span.span_context.trace_id(), span.span_context.span_id());

    publisher(&kafka, DIRECT).await.publish(&renamed()).instrument(request()).await.unwrap();
    let span = finished();
    let send = span("send accounts");
    assert_eq!(send.parent_span_id, span("request").span_context.span_id());
    assert_eq!(header(&kafka.written()[0], header::TRACEPARENT), context(&send));

    let database = database(&kafka).await;
    publish(&database).instrument(request()).await;
    let relay = relay(&database, &kafka);
    until_empty(&database).await;
    relay.shutdown().await.unwrap();
    let span = finished();
    let (create, send) = (span("create accounts"), span("send accounts"));
    assert_eq!(create.parent_span_id, span("request").span_context.span_id());
    assert_eq!(header(&kafka.written()[1], header::TRACEPARENT), context(&create));
    assert_eq!(send.span_context.trace_id(), create.span_context.trace_id());
    assert_eq!(send.parent_span_id, create.span_context.span_id());
    let linked: Vec<_> = send.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(linked, [create.span_context.span_id()]);
}
