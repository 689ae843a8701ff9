//! Destinations that take nothing: a topic that is missing, or that its brokers let nobody write to.
//!
//! Nothing is wrong with the events themselves, so they stay in the outbox, and are tried again, later and later. One row at a time
//! is risked for that. All other destinations go on.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::transport::{ProduceError, Target};

/// The pause before a destination is tried again, doubled each time it takes nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same for an event store, which is away rather than not there: its events are not to wait long once it is back.
const LONGEST_PAUSE_OF_STORE: Duration = Duration::from_secs(5);

/// Where a row goes: a topic, straight or by way of an event store. All rows of a stream go to one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) target: Target,
    pub(super) topic: Arc<str>,
}

/// The destinations that are held back.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    holds: FxHashMap<Destination, Hold>,
    /// Whether it is other than what was last [noted](Self::take_news).
    changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) reason: String,
    pub(super) since: Instant,
    pub(super) try_at: Instant,
    pause: Duration,
}

impl HeldBack {
    /// A destination took nothing: leave its rows where they are for a while, longer each time.
    pub(super) fn hold(&mut self, destination: Destination, reason: String, now: Instant) {
        self.changed = true;
        let longest = match destination.target {
            Target::Kafka => LONGEST_PAUSE,
            Target::Store => LONGEST_PAUSE_OF_STORE,
        };
        let (since, pause) = match self.holds.get(&destination) {
            // One of several rows that had been on their way together.
            Some(hold) if now < hold.try_at => return,
            Some(hold) => (hold.since, (hold.pause * 2).min(longest)),
            None => (now, FIRST_PAUSE),
        };
        let Destination { target, topic } = &destination;
        let (target, reason_shown) = (target.as_str(), reason.as_str());
        tracing::warn!(%topic, target, reason = reason_shown, retry_in = ?pause, "events of a topic are held back; the others go on");
        self.holds.insert(destination, Hold { reason, since, try_at: now + pause, pause });
    }

    /// A destination has taken a row. Says whether it was held back.
    pub(super) fn took(&mut self, destination: &Destination) -> bool {
        let was_held = self.holds.remove(destination).is_some();
        if was_held {
            self.changed = true;
            tracing::info!(topic = %destination.topic, "a topic takes events again");
        }
        was_held
    }

    /// Nothing is left that goes to a destination: it went elsewhere, or was parked or deleted.
    pub(super) fn is_done_with(&mut self, destination: &Destination) {
        self.changed |= self.holds.remove(destination).is_some();
    }

    /// Whether rows of a destination may be read: it is not held back, or it is time to try it again, and `is_tried` says that no
    /// row of it is on its way for that. It is asked where that matters.
    pub(super) fn may_read(&self, destination: &Destination, now: Instant, is_tried: impl FnOnce() -> bool) -> bool {
        self.holds.get(destination).is_none_or(|hold| now >= hold.try_at && !is_tried())
    }

    /// The destinations that are held back.
    pub(super) fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.holds.keys()
    }

    pub(super) fn is_held(&self, destination: &Destination) -> bool {
        self.holds.contains_key(destination)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// When the next one is tried.
    pub(super) fn next_try(&self, now: Instant) -> Option<Instant> {
        self.holds.values().map(|hold| hold.try_at).filter(|at| *at > now).min()
    }

    /// What others are to be told, if it is news.
    pub(super) fn take_news(&mut self) -> Option<Vec<(Destination, Hold)>> {
        std::mem::take(&mut self.changed)
            .then(|| self.holds.iter().map(|(destination, hold)| (destination.clone(), hold.clone())).collect())
    }

    /// Others could not be told.
    pub(super) fn not_noted(&mut self) {
        self.changed = true;
    }
}

/// Whether a destination takes nothing, whatever the record. No row names its partition: that one is unknown means that a broker which
/// has just started does not know the topic yet.
pub(super) const fn concerns_destination(error: &ProduceError) -> bool {
    use ProduceError as E;
    matches!(error, E::UnknownTopic { .. } | E::UnknownPartition { .. } | E::TopicRefused { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Destination {
        Destination { target: Target::Kafka, topic: name.into() }
    }

    #[test]
    fn a_destination_is_tried_again_later_and_later_until_it_takes_something() {
        let (mut held, start) = (HeldBack::default(), Instant::now());
        let missing = topic("players");
        held.hold(missing.clone(), "missing".to_owned(), start);
        held.hold(missing.clone(), "missing".to_owned(), start);
        assert!(!held.may_read(&missing, start, || false) && held.may_read(&topic("accounts"), start, || true));
        let mut pauses = Vec::new();
        while pauses.len() < 7 {
            let at = held.holds[&missing].try_at;
            assert!(held.may_read(&missing, at, || false) && !held.may_read(&missing, at, || true));
            pauses.push(held.holds[&missing].pause.as_secs());
            held.hold(missing.clone(), "missing".to_owned(), at);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(held.holds[&missing].since, start);
        assert!(held.took(&missing) && !held.took(&missing) && held.is_empty());
    }

    #[test]
    fn what_is_held_is_told_once_each_time_it_changes() {
        let mut held = HeldBack::default();
        assert_eq!(held.take_news(), None);
        held.hold(topic("players"), "missing".to_owned(), Instant::now());
        assert_eq!(held.take_news().unwrap().len(), 1);
        assert_eq!(held.take_news(), None);
        held.not_noted();
        held.took(&topic("players"));
        assert_eq!(held.take_news(), Some(Vec::new()));
    }
}
