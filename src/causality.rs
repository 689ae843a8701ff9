//! What an event carries on from the one that caused it, without the user doing anything.
//!
//! While a handler runs, the engine holds the delivery's [`Causality`] in a task-local; publishers read it.
//! A task that the handler spawns does not inherit it: wrap its future in [`Causality::scope`].

use std::future::Future;

use rand::RngExt as _;
use uuid::Uuid;

#[cfg(feature = "consumer")]
use crate::dispatch::Delivery;
use crate::envelope::EnvelopeView;

tokio::task_local! {
    static CURRENT: Cause;
}

/// What the task-local holds: reading a delivery's headers costs something, so it waits until someone publishes.
#[derive(Clone)]
enum Cause {
    Stated(Causality),
    #[cfg(feature = "consumer")]
    Delivery(Delivery),
}

/// Run `poll` while `delivery` is being handled.
#[cfg(feature = "consumer")]
pub(crate) fn handling<T>(delivery: &Delivery, poll: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(Cause::Delivery(delivery.clone()), poll)
}

/// The cause of what is published: correlation, causation and trace context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causality {
    /// The id all events of one cause share; a fresh one when absent.
    pub correlation_id: Option<String>,
    /// The id of the event that caused this.
    pub causation_id: Option<String>,
    /// W3C trace context of the caller.
    pub traceparent: Option<String>,
    /// W3C trace context, the vendors' part.
    pub tracestate: Option<String>,
}

impl Causality {
    /// What events caused by the event of `envelope` carry. What a stranger wrote is carried on as far as every outbox and store
    /// takes it: an id of at most 1,024 bytes, a `tracestate` of at most 512, neither with spaces around it.
    pub fn of(envelope: &EnvelopeView<'_>) -> Self {
        let id = envelope.id().filter(|id| is_carried(id, LONGEST_ID));
        Self {
            correlation_id: envelope.correlation_id().filter(|id| is_carried(id, LONGEST_ID)).or(id).map(str::to_owned),
            causation_id: id.map(str::to_owned),
            traceparent: envelope.traceparent().filter(|value| TraceParent::parse(value).is_some()).map(str::to_owned),
            tracestate: envelope.tracestate().filter(|state| is_carried(state, LONGEST_STATE)).map(str::to_owned),
        }
    }

    /// The cause in force here; empty outside a handler.
    pub fn current() -> Self {
        let current = CURRENT.try_with(|cause| match cause {
            Cause::Stated(causality) => causality.clone(),
            #[cfg(feature = "consumer")]
            Cause::Delivery(delivery) => Self::of(&delivery.envelope()),
        });
        current.unwrap_or_default()
    }

    /// Run `future` with this cause in force.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(Cause::Stated(self), future)
    }

    /// The correlation id of an event published now; its own id when nothing caused it.
    pub fn correlation_id_or(&self, event_id: Uuid) -> String {
        self.correlation_id.clone().unwrap_or_else(|| event_id.to_string())
    }

    /// The `traceparent` of an event published now: the caller's trace with a span of its own, or a new trace.
    ///
    /// With the feature `opentelemetry`, in a span that OpenTelemetry knows, it is that span: the consumer's span is then its child.
    pub fn next_traceparent(&self) -> String {
        #[cfg(feature = "opentelemetry")]
        if let Some(current) = crate::telemetry::opentelemetry::current() {
            return current.to_text();
        }
        let parent = self.traceparent.as_deref().and_then(TraceParent::parse);
        parent.unwrap_or_else(TraceParent::new_trace).child().to_text()
    }
}

/// In bytes.
const LONGEST_ID: usize = 1_024;
/// In bytes; as much as the specification has everybody carry on (<https://www.w3.org/TR/trace-context/#tracestate-limits>).
const LONGEST_STATE: usize = 512;

/// Whether a header's value may be carried on.
fn is_carried(value: &str, longest: usize) -> bool {
    !value.is_empty() && value.len() <= longest && value.trim() == value
}

/// A W3C `traceparent`, version 00 (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) flags: u8,
}

impl TraceParent {
    /// Not sampled: nothing here recorded a span that a backend could show.
    fn new_trace() -> Self {
        let mut random = rand::rng();
        Self { trace_id: random.random_range(1..=u128::MAX), span_id: 0, flags: 0 }
    }

    fn child(self) -> Self {
        Self { span_id: rand::rng().random_range(1..=u64::MAX), ..self }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        fn hex(part: &str, digits: usize) -> Option<u128> {
            let lower_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            (part.len() == digits && lower_hex).then(|| u128::from_str_radix(part, 16).ok()).flatten()
        }
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        // Version 255 is forbidden; version 0 has exactly four parts; later ones may add some.
        let valid = version != 255 && (version != 0 || parts.next().is_none()) && trace_id != 0 && span_id != 0;
        valid.then_some(Self { trace_id, span_id, flags })
    }
}

impl TraceParent {
    /// The trace's id, in hexadecimal.
    #[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
    pub(crate) fn trace_id_text(self) -> String {
        let mut text = String::with_capacity(32);
        push_hex(&mut text, &self.trace_id.to_be_bytes());
        text
    }

    /// The span's id, in hexadecimal.
    #[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
    pub(crate) fn span_id_text(self) -> String {
        let mut text = String::with_capacity(16);
        push_hex(&mut text, &self.span_id.to_be_bytes());
        text
    }

    /// Every event has one: `format!` with three padded fields costs several times as much.
    fn to_text(self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id.to_be_bytes());
        text.push('-');
        push_hex(&mut text, &self.span_id.to_be_bytes());
        text.push('-');
        push_hex(&mut text, &[self.flags]);
        text
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::header;
    use crate::transport::Headers;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_child_keeps_the_trace_and_its_flags_but_not_the_span() {
        let cause = Causality { traceparent: Some(PARENT.into()), ..Causality::default() };
        let child = cause.next_traceparent();
        assert!(child.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && child.ends_with("-01"));
        assert_ne!(child, PARENT);
    }

    #[test]
    fn a_parent_is_written_as_it_was_read() {
        for parent in [PARENT, "00-00000000000000000000000000000001-000000000000000a-00"] {
            assert_eq!(TraceParent::parse(parent).unwrap().to_text(), parent);
        }
    }

    #[test]
    fn a_malformed_parent_starts_a_new_trace() {
        for parent in
            ["", "00-0-0-0", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &format!("{PARENT}-x")]
        {
            assert_eq!(TraceParent::parse(parent), None, "{parent}");
        }
        assert!(TraceParent::parse(&Causality::default().next_traceparent()).is_some());
    }

    #[test]
    fn an_event_without_a_correlation_becomes_the_correlation_of_what_it_causes() {
        let mut headers = Headers::new();
        headers.push_str(header::ID, "event-1");
        let cause = Causality::of(&EnvelopeView::new(&headers));
        assert_eq!(cause.correlation_id.as_deref(), Some("event-1"));
        assert_eq!(cause.causation_id.as_deref(), Some("event-1"));
    }

    #[test]
    fn what_no_outbox_would_take_is_not_carried_on() {
        let of = |correlation: &str, state: &str| {
            let mut headers = Headers::new();
            headers.push_str(header::ID, "event-1");
            headers.push_str(header::CORRELATION_ID, correlation);
            headers.push_str(header::TRACESTATE, state);
            let cause = Causality::of(&EnvelopeView::new(&headers));
            (cause.correlation_id.unwrap(), cause.tracestate)
        };
        assert_eq!(of("all", "a=1"), ("all".to_owned(), Some("a=1".to_owned())));
        for (correlation, state) in [("all ", "a=1 "), ("", ""), (&"x".repeat(1_025), &"x".repeat(513))] {
            assert_eq!(of(correlation, state), ("event-1".to_owned(), None));
        }
    }

    #[tokio::test]
    async fn the_cause_is_in_force_inside_its_scope_only() {
        let cause = Causality { causation_id: Some("event-1".into()), ..Causality::default() };
        cause.clone().scope(async { assert_eq!(Causality::current(), cause) }).await;
        assert_eq!(Causality::current(), Causality::default());
    }
}
