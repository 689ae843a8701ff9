//! What a group's poll thread leaves for others to read.

use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::{GroupHealth, HealthOptions};

/// What a group's poll thread leaves for others to read. On the way of a record it costs a few plain stores.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// When the thread last turned, in milliseconds of the clock, plus 1; 0 before the first turn.
    turned: AtomicU64,
    /// Whether the thread has ended, and for good.
    end: Mutex<Option<End>>,
    /// The handler that runs on the thread itself now: its place, plus 1; 0 for none.
    handler: AtomicU32,
    partition: AtomicI32,
    offset: AtomicI64,
    /// Topics and handlers by place.
    places: OnceLock<Vec<Place>>,
    health: Mutex<Option<Arc<GroupHealth>>>,
}

/// How a thread ended.
#[derive(Debug)]
struct End {
    reason: String,
    for_good: bool,
}

/// A route.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) topic: Arc<str>,
    pub(crate) handler: &'static str,
}

impl Pulse {
    /// An engine begins, the first or another; it names the routes, which are the same for all.
    pub(crate) fn begin(&self, places: Vec<Place>) {
        self.places.get_or_init(|| places);
        self.leave();
        *self.end.lock() = None;
    }

    /// The thread turns.
    pub(crate) fn beat(&self, now: Duration) {
        self.turned.store(now.as_secs() * 1_000 + u64::from(now.subsec_millis()) + 1, Ordering::Relaxed);
    }

    /// The handler at `place` is about to be polled on the thread itself.
    pub(crate) fn enter(&self, place: u32, partition: i32, offset: i64) {
        self.partition.store(partition, Ordering::Relaxed);
        self.offset.store(offset, Ordering::Relaxed);
        self.handler.store(place + 1, Ordering::Relaxed);
    }

    /// It returned.
    pub(crate) fn leave(&self) {
        self.handler.store(0, Ordering::Relaxed);
    }

    /// The thread's latest account.
    pub(crate) fn publish(&self, health: GroupHealth) {
        *self.health.lock() = Some(Arc::new(health));
    }

    /// The thread has failed; the group may have another one. The first reason is the one.
    pub(crate) fn fail(&self, reason: &dyn fmt::Display) {
        self.end.lock().get_or_insert_with(|| End { reason: reason.to_string(), for_good: false });
    }

    /// The group has ended for good.
    pub(crate) fn end(&self, reason: &str) {
        let mut end = self.end.lock();
        end.get_or_insert_with(|| End { reason: reason.to_owned(), for_good: true }).for_good = true;
    }

    /// How healthy the group is at `now`.
    pub(crate) fn health(&self, group: &str, now: Duration, options: &HealthOptions) -> GroupHealth {
        let known = self.health.lock().clone();
        let mut health = known.map_or_else(GroupHealth::default, |known| GroupHealth::clone(&known));
        group.clone_into(&mut health.group);
        let turned = self.turned.load(Ordering::Relaxed);
        let age = now.saturating_sub(Duration::from_millis(turned.saturating_sub(1)));
        let hangs = age > options.poll_timeout;
        let end = self.end.lock().as_ref().map(|end| (end.reason.clone(), end.for_good));
        let (live, reason) = match end {
            Some((reason, true)) => (false, Some(format!("the consumer has ended: {reason}"))),
            Some((reason, false)) => {
                (!hangs, Some(format!("the consumer has failed, and may be started again: {reason}")))
            }
            None if turned == 0 => (true, Some("the consumer has not begun: its run() is not awaited yet".to_owned())),
            None => (
                !hangs,
                hangs.then(|| format!("the consumer's thread has not turned for {} s{}", age.as_secs(), self.inside())),
            ),
        };
        health.live = live;
        if let Some(reason) = reason {
            health.ready = false;
            health.reasons.insert(0, reason);
        }
        health
    }

    /// What the thread is in, where that is a handler.
    fn inside(&self) -> String {
        let handler = self.handler.load(Ordering::Relaxed);
        let place = handler.checked_sub(1).and_then(|place| self.places.get()?.get(usize::try_from(place).ok()?));
        place.map_or_else(String::new, |place| {
            format!(
                ": {} keeps it, with offset {} of {}[{}]; a handler must not block its thread",
                place.handler,
                self.offset.load(Ordering::Relaxed),
                place.topic,
                self.partition.load(Ordering::Relaxed),
            )
        })
    }
}
