//! What generated code calls. Not part of the public interface: it changes without notice.

use std::marker::PhantomData;

use semver::VersionReq;

use crate::dispatch::{Delivery, PayloadInfo, Policy, RouteInfo, Versions};
use crate::event::Event;
use crate::outcome::{HandlerError, Outcome};

/// The versions a literal names; the macro has checked it, so what does not parse matches nothing rather than panics.
pub fn versions(requirement: &str) -> Versions {
    let nothing = || VersionReq { comparators: ["<0.0.0-0"].iter().flat_map(|text| text.parse()).collect() };
    Versions::Matching(requirement.parse().unwrap_or_else(|_| nothing()))
}

/// What is known of a route. `uses_transaction` says of each of the handler's extractors whether it opens a transaction.
pub fn route_info<E: Event>(
    event: &'static str,
    versions: Versions,
    handler: &'static str,
    docs: &'static str,
    policy: Policy,
    uses_transaction: &[bool],
) -> RouteInfo {
    let uses_transaction = uses_transaction.contains(&true);
    RouteInfo { event, versions, handler, docs, policy, payload: PayloadInfo::of::<E>(), uses_transaction, batch: None }
}

/// The payload of a delivery.
///
/// # Errors
/// It cannot be decoded, or the schema registry is away.
pub async fn decode<E: Event>(delivery: &Delivery) -> Result<E, HandlerError> {
    let payload = delivery.record().payload.as_deref();
    delivery.codec().decode(payload).await.map_err(crate::schema::DecodeError::into_handler_error)
}

/// The payloads of a batch. An event that cannot be decoded has its error among the outcomes already.
#[derive(Debug)]
pub struct DecodedBatch<E> {
    /// What could be decoded.
    pub events: Vec<E>,
    /// The deliveries of these events.
    pub deliveries: Vec<Delivery>,
    /// For each delivery of the batch, its error, where it could not be decoded.
    outcomes: Vec<Option<Outcome>>,
}

/// The payload type of a handler of batches.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch of events",
    label = "a handler of batches takes a `Vec` of an event",
    note = "write `events: Vec<UserUpdated>`, or leave `batch(..)` out of `#[on(..)]`"
)]
pub trait Batch: Sized {
    /// The event.
    type Event: Event;

    /// From the events.
    fn of(events: Vec<Self::Event>) -> Self;
}

impl<E: Event> Batch for Vec<E> {
    type Event = E;

    fn of(events: Self) -> Self {
        events
    }
}

/// Decode a batch.
pub async fn decode_batch<E: Event>(batch: Vec<Delivery>) -> DecodedBatch<E> {
    let mut decoded = DecodedBatch { events: Vec::new(), deliveries: Vec::new(), outcomes: Vec::new() };
    for delivery in batch {
        match decode::<E>(&delivery).await {
            Ok(event) => {
                decoded.events.push(event);
                decoded.deliveries.push(delivery);
                decoded.outcomes.push(None);
            }
            Err(error) => decoded.outcomes.push(Some(error.into())),
        }
    }
    decoded
}

/// An outcome for each delivery of the batch, from `errors` of [`DecodedBatch`] and those of the events that were decoded.
pub fn outcomes(errors: Vec<Option<Outcome>>, events: Vec<Outcome>) -> Vec<Outcome> {
    let mut events = events.into_iter();
    // As many events as there are places: the trait that made the outcomes has seen to it.
    errors.into_iter().map(|error| error.or_else(|| events.next()).unwrap_or(Outcome::Done)).collect()
}

impl<E> DecodedBatch<E> {
    /// The events, their deliveries, and the errors of the others.
    pub fn into_parts(self) -> (Vec<E>, Vec<Delivery>, Vec<Option<Outcome>>) {
        (self.events, self.deliveries, self.outcomes)
    }
}

/// The same error for each event.
pub fn failed_batch(error: HandlerError, events: usize) -> Vec<Outcome> {
    crate::dispatch::failed(error, events)
}

/// The event name of any type, if it has one: `NameOf::<T>::NAME` is the associated constant below where `T` is an event, and
/// else that of [`AnyName`].
#[derive(Debug)]
pub struct NameOf<T>(PhantomData<T>);

impl<T: Event> NameOf<T> {
    /// The event's name.
    pub const NAME: &'static str = T::NAME;
}

/// The name of what is no event.
pub trait AnyName {
    /// Empty.
    const NAME: &'static str = "";
}

impl<T> AnyName for NameOf<T> {}

/// Refuse, at compile time, a handler whose payload is that of another event.
///
/// # Panics
/// The names differ. An empty name belongs to a payload that is no event, which is an error of its own.
#[track_caller]
pub const fn assert_payload(payload: &str, event: &str, handler: &str) {
    if payload.is_empty() || same_text(payload, event) {
        return;
    }
    let message = ConstText::new()
        .push("`")
        .push(handler)
        .push("` is a handler of `")
        .push(event)
        .push("`, but the type of its payload is the event `")
        .push(payload)
        .push("`: name that one in `#[on(..)]`, or take another type");
    panic!("{}", message.as_str());
}

/// Whether two names are equal.
const fn same_text(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Text put together at compile time, where nothing can be allocated. What does not fit is cut.
struct ConstText {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl ConstText {
    /// Two names of the greatest length, a method's name and the words around them.
    const CAPACITY: usize = 1_024;

    const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], length: 0 }
    }

    const fn push(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut index = 0;
        while index < text.len() && self.length < Self::CAPACITY {
            self.bytes[self.length] = text[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(text) {
            Ok(text) => text,
            // Cut within a character, which only a method's name can hold.
            Err(_) => "the type of a handler's payload is another event than `#[on(..)]` names",
        }
    }
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;

    #[test]
    fn a_requirement_matches_as_written() {
        assert!(versions(">=1.2.3, <3").matches(&Version::new(2, 9, 9)));
        assert!(!versions(">=1.2.3, <3").matches(&Version::new(3, 0, 0)));
    }

    #[test]
    fn what_is_no_requirement_matches_nothing() {
        let nothing = versions("one");
        for version in ["0.0.0-0", "0.0.0", "1.0.0", "1.0.0-rc.1"] {
            assert!(!nothing.matches(&version.parse().unwrap()), "{version}");
        }
    }

    #[test]
    fn text_that_does_not_fit_is_cut() {
        assert_eq!(ConstText::new().push("a").push("b").as_str(), "ab");
        assert_eq!(ConstText::new().push(&"a".repeat(2_000)).as_str().len(), ConstText::CAPACITY);
        assert!(ConstText::new().push("a").push(&"ä".repeat(2_000)).as_str().starts_with("the type of"));
    }

    #[test]
    fn names_are_compared_in_full() {
        assert!(same_text("a.B", "a.B"));
        assert!(!same_text("a.B", "a.C") && !same_text("a.B", "a.BB"));
    }
}
