//! Real OpenTelemetry parents and links, through `tracing-opentelemetry`. They show where the subscriber has its layer, of the same
//! version that this crate uses.

use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::causality::TraceParent;

/// Let `span` belong to the producer's trace, and link it to the producer's span.
#[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
pub(crate) fn follow(span: &Span, producer: TraceParent, state: Option<&str>) {
    use opentelemetry::Context;

    let producer = remote(producer, state);
    span.add_link(producer.clone());
    // Fails where the subscriber has no OpenTelemetry layer: there is nothing to belong to then.
    let _ = span.set_parent(Context::new().with_remote_span_context(producer));
}

/// Link `span` to the producer's span, and leave it in the trace it is in.
#[cfg(feature = "consumer")]
pub(crate) fn link(span: &Span, producer: TraceParent, state: Option<&str>) {
    span.add_link(remote(producer, state));
}

#[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
fn remote(producer: TraceParent, state: Option<&str>) -> opentelemetry::trace::SpanContext {
    use std::str::FromStr as _;

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let (trace, span) = (TraceId::from(producer.trace_id), SpanId::from(producer.span_id));
    SpanContext::new(trace, span, TraceFlags::new(producer.flags), true, state)
}

/// The span this code runs in, where OpenTelemetry has one.
pub(crate) fn current() -> Option<TraceParent> {
    let span = Span::current();
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let current = span.span_context();
    current.is_valid().then(|| TraceParent {
        trace_id: u128::from_be_bytes(current.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(current.span_id().to_bytes()),
        flags: current.trace_flags().to_u8(),
    })
}
