//! How much may wait. A bound that refuses: who waited here would wait for ever longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Room for so many events and bytes.
#[derive(Debug)]
pub(super) struct Room {
    limit: Amount,
    taken: Mutex<Amount>,
    /// What tells how many events have a place.
    gauge: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amount {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A place in the room, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    events: usize,
    bytes: AtomicUsize,
}

impl Room {
    pub(super) fn new(events: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self { limit: Amount { events, bytes }, taken: Mutex::default(), gauge: None })
    }

    /// The same; how many events have a place is told as this gauge.
    pub(super) fn told_as(gauge: &'static str, events: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self { limit: Amount { events, bytes }, taken: Mutex::default(), gauge: Some(gauge) })
    }

    /// A place for `amount`, where there is one. An empty room takes a single request of any size.
    pub(super) fn take(self: &Arc<Self>, amount: Amount) -> Option<Seat> {
        let mut taken = self.taken.lock();
        let events = taken.events.saturating_add(amount.events);
        let bytes = taken.bytes.saturating_add(amount.bytes);
        if taken.events > 0 && (events > self.limit.events || bytes > self.limit.bytes) {
            return None;
        }
        *taken = Amount { events, bytes };
        self.tell(events);
        Some(Seat { room: Arc::clone(self), events: amount.events, bytes: AtomicUsize::new(amount.bytes) })
    }

    /// Whether nobody finds a place, however little it asks for.
    pub(super) fn is_full(&self) -> bool {
        let taken = self.taken.lock();
        taken.events > 0 && (taken.events >= self.limit.events || taken.bytes >= self.limit.bytes)
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().events
    }

    /// Under the lock, or a number that is over might be told last.
    fn tell(&self, events: usize) {
        if let Some(gauge) = self.gauge {
            metrics::gauge!(gauge).set(events as f64);
        }
    }
}

impl Seat {
    /// Take so many bytes more, if there is room for them, or nobody else is there.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        let mut taken = self.room.taken.lock();
        let wanted = taken.bytes.saturating_add(bytes);
        if taken.events > self.events && wanted > self.room.limit.bytes && bytes > 0 {
            return false;
        }
        taken.bytes = wanted;
        // Changed under the lock only.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        taken.events = taken.events.saturating_sub(self.events);
        taken.bytes = taken.bytes.saturating_sub(self.bytes.load(Ordering::Relaxed));
        self.room.tell(taken.events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_refuses_and_a_seat_that_is_left_is_free() {
        let room = Room::new(2, 100);
        let amount = |events, bytes| Amount { events, bytes };
        let first = room.take(amount(1, 10)).unwrap();
        assert!(room.take(amount(1, 91)).is_none(), "too many bytes");
        let second = room.take(amount(1, 10)).unwrap();
        assert!(room.take(amount(1, 1)).is_none(), "too many events");
        assert!(room.is_full());
        drop(first);
        assert!(!room.is_full() && room.take(amount(1, 1)).is_some());
        drop(second);
        assert_eq!(room.taken(), 0);
        assert!(room.take(amount(5, 1_000)).is_some(), "an empty room takes anything");
    }
}
