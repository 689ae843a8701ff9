//! What generated code calls. Not part of the public interface: it changes without notice.

use std::marker::PhantomData;

use semver::VersionReq;

pub use serde;
pub use uuid::Uuid;

use crate::dispatch::{BatchPolicy, Delivery, OutcomesMissing, PayloadInfo, Policy, RouteInfo, Versions, failed};
use crate::event::Event;
use crate::outcome::{ErrorClass, HandlerError, Outcome};

#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub use crate::database::derived as entity;

/// The versions a literal names; the macro has checked it, so what does not parse matches nothing rather than panics.
pub fn versions(requirement: &str) -> Versions {
    let nothing = || VersionReq { comparators: ["<0.0.0-0"].iter().flat_map(|text| text.parse()).collect() };
    Versions::Matching(requirement.parse().unwrap_or_else(|_| nothing()))
}

/// What is known of a route; `own` is what the handler says itself, `block` what its block does, and `uses_transaction` of each
/// of the handler's extractors whether it opens a transaction.
pub fn route_info<E: Event>(
    event: &'static str,
    versions: Versions,
    handler: &'static str,
    docs: &'static str,
    own: Policy,
    block: Policy,
    uses_transaction: &[bool],
) -> RouteInfo {
    let (policy, payload) = (own.or(block), PayloadInfo::of::<E>());
    let uses_transaction = uses_transaction.contains(&true);
    RouteInfo { event, versions, handler, docs, policy, own, payload, uses_transaction, batch: None }
}

/// What is known of a route to a handler of batches.
#[allow(clippy::too_many_arguments, reason = "what the attributes say, in the order they say it")]
pub fn batch_route_info<B: Batch>(
    event: &'static str,
    versions: Versions,
    handler: &'static str,
    docs: &'static str,
    own: Policy,
    block: Policy,
    uses_transaction: &[bool],
    batch: BatchPolicy,
) -> RouteInfo {
    route_info::<B::Event>(event, versions, handler, docs, own, block, uses_transaction).batch(batch)
}

/// The payload of a delivery.
///
/// # Errors
/// It cannot be decoded, or the schema registry is away.
pub async fn decode<E: Event>(delivery: &Delivery) -> Result<E, HandlerError> {
    // Only a type with older ones asks for the version.
    let version = E::UPCASTS.and_then(|_| delivery.envelope().schema_version());
    crate::upcast::decode(delivery.codec(), delivery.record(), version.as_ref())
        .await
        .map_err(crate::schema::DecodeError::into_handler_error)
}

/// Note the key whose shard the handler's transaction is to be on.
pub fn shard_by<K: crate::event::Key + ?Sized>(delivery: &Delivery, key: &K) {
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    delivery.share_value(std::sync::Arc::new(crate::database::inbox::ShardKey(key.to_key().into_owned())));
    #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
    let _ = (delivery, key);
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

/// An event of the batch, of the same key, could not be decoded.
#[derive(Debug, thiserror::Error)]
#[error("an earlier event in the same batch could not be decoded, and this one comes behind it")]
struct BehindUndecodable;

/// Where the outcomes of a batch go: those of what could not be decoded are there already.
#[derive(Debug)]
pub struct BatchPlaces {
    /// An outcome for each delivery that has no event.
    known: Vec<Option<Outcome>>,
    events: usize,
}

impl BatchPlaces {
    /// How many events could be decoded.
    pub const fn events(&self) -> usize {
        self.events
    }

    /// An outcome for each delivery: what is known, and those of the events.
    pub fn fill(self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let (events, told) = (self.events, outcomes.len());
        let mut outcomes = outcomes.into_iter();
        // Too few come only from an `IntoOutcomes` of somebody else's; what they leave open was not handled.
        let missing = || Outcome::from(HandlerError::from(OutcomesMissing { events, outcomes: told }));
        let places = self.known.into_iter();
        places.map(|known| known.or_else(|| outcomes.next()).unwrap_or_else(missing)).collect()
    }

    /// The same error for each of the events.
    pub fn fail(self, error: HandlerError) -> Vec<Outcome> {
        let outcomes = failed(error, self.events);
        self.fill(outcomes)
    }
}

/// Decode a batch: its events, their deliveries, and where their outcomes go.
///
/// An event behind one that could not be decoded and that it must not overtake is kept back.
///
/// # Errors
/// None could be decoded; these are the outcomes.
pub async fn decode_batch<B: Batch>(batch: Vec<Delivery>) -> Result<(B, Vec<Delivery>, BatchPlaces), Vec<Outcome>> {
    let (mut events, mut deliveries) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    let mut known = Vec::with_capacity(batch.len());
    let mut undecodable: Vec<Delivery> = Vec::new();
    for delivery in batch {
        if undecodable.iter().any(|earlier| delivery.is_behind(earlier)) {
            // No fault of its own, so no attempt either.
            known.push(Some(HandlerError::new(ErrorClass::Unavailable, BehindUndecodable).into()));
            continue;
        }
        match decode::<B::Event>(&delivery).await {
            Ok(event) => {
                events.push(event);
                deliveries.push(delivery);
                known.push(None);
            }
            Err(error) => {
                undecodable.push(delivery);
                known.push(Some(error.into()));
            }
        }
    }
    let places = BatchPlaces { known, events: events.len() };
    if events.is_empty() { Err(places.fill(Vec::new())) } else { Ok((B::of(events), deliveries, places)) }
}

/// The event name of any type, if it has one: `NameOf::<T>::NAME` is the associated constant below where `T` is an event, and
/// else that of [`AnyName`].
#[derive(Debug)]
pub struct NameOf<T>(PhantomData<T>);

impl<T: Event> NameOf<T> {
    /// The event's name.
    pub const NAME: &'static str = T::NAME;
}

/// The event name of any type's elements, if it is a batch; as [`NameOf`].
#[derive(Debug)]
pub struct NameOfBatch<T>(PhantomData<T>);

impl<T: Batch> NameOfBatch<T> {
    /// The event's name.
    pub const NAME: &'static str = T::Event::NAME;
}

/// The name of what is no event.
pub trait AnyName {
    /// Empty.
    const NAME: &'static str = "";
}

impl<T> AnyName for NameOf<T> {}
impl<T> AnyName for NameOfBatch<T> {}

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

/// Tells whether a type is `Debug`: its own constant says so, and goes before that of [`NotDebug`].
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T: std::fmt::Debug> Probe<T> {
    /// It is.
    pub const IS_DEBUG: bool = true;
}

/// What [`Probe`] says of a type that is not `Debug`.
pub trait NotDebug {
    /// It is not.
    const IS_DEBUG: bool = false;
}

impl<T> NotDebug for Probe<T> {}

/// Refuse, at compile time, a `Debug` that nobody said to hide what the schema marks as sensitive.
///
/// # Panics
/// There is a `Debug`.
#[track_caller]
pub const fn assert_hidden<E: Event>(is_debug: bool) {
    let message =
        ConstText::new().push("`").push(E::NAME).push("` has fields marked \"pii\" in its schema, and a derived ");
    let message =
        message.push("`Debug` shows them: take `Debug` out of `#[derive(..)]` and write `#[event(debug)]`, which ");
    let message = message.push("shows `***`; one of your own that hides them is `#[event(debug = \"own\")]`");
    assert!(!is_debug, "{}", message.as_str());
}

/// Refuse, at compile time, an older type that is another event, or that is not older.
///
/// # Panics
/// The names differ, or the versions are the wrong way round.
#[track_caller]
pub const fn assert_older<Older: Event, Newer: Event>() {
    // An empty name or version belongs to a type that has an error of its own.
    if Older::NAME.is_empty() || Newer::NAME.is_empty() || Older::VERSION.is_empty() || Newer::VERSION.is_empty() {
        return;
    }
    let message =
        ConstText::new().push("`upcast_from` is the event `").push(Older::NAME).push("` ").push(Older::VERSION);
    let message = message.push(", and this is `").push(Newer::NAME).push("` ").push(Newer::VERSION);
    assert!(
        same_text(Older::NAME, Newer::NAME),
        "{}",
        message.push(": it has to be a version of the same event").as_str()
    );
    assert!(
        is_lower(numbers(Older::VERSION), numbers(Newer::VERSION)),
        "{}",
        message.push(": it has to be an older version").as_str()
    );
}

/// The three numbers of a version; what stands behind them is left out.
const fn numbers(version: &str) -> [u64; 3] {
    let (text, mut numbers, mut place, mut index) = (version.as_bytes(), [0_u64; 3], 0, 0);
    while index < text.len() && place < 3 {
        match text[index] {
            digit @ b'0'..=b'9' => {
                numbers[place] = numbers[place].saturating_mul(10).saturating_add((digit - b'0') as u64);
            }
            b'.' => place += 1,
            _ => return numbers,
        }
        index += 1;
    }
    numbers
}

const fn is_lower(left: [u64; 3], right: [u64; 3]) -> bool {
    let mut place = 0;
    while place < 3 {
        if left[place] != right[place] {
            return left[place] < right[place];
        }
        place += 1;
    }
    false
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
    fn versions_are_compared_number_by_number() {
        let lower = |left, right| is_lower(numbers(left), numbers(right));
        assert!(lower("1.9.9", "2.0.0") && lower("1.2.3", "1.10.0") && lower("1.2.3-rc.1", "1.2.4"));
        assert!(!lower("2.0.0", "1.9.9") && !lower("1.2.3", "1.2.3") && !lower("1.2.3-rc.1", "1.2.3+7"));
    }

    #[test]
    fn names_are_compared_in_full() {
        assert!(same_text("a.B", "a.B"));
        assert!(!same_text("a.B", "a.C") && !same_text("a.B", "a.BB"));
    }
}
