//! When a run's first handler started, and when its last one ended.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Counts what handlers do, and takes the time from the first start to the last end: joining a group is not in it.
#[derive(Debug)]
pub struct Probe {
    expected: u64,
    ended: AtomicU64,
    first_start: OnceLock<Instant>,
    last_end: OnceLock<Instant>,
    all_ended: Notify,
}

impl Probe {
    /// A probe that expects `events` events.
    pub fn new(events: u64) -> Self {
        Self {
            expected: events,
            ended: AtomicU64::new(0),
            first_start: OnceLock::new(),
            last_end: OnceLock::new(),
            all_ended: Notify::new(),
        }
    }

    /// A handler starts. Returns when the first one did.
    pub fn start(&self) -> Instant {
        *self.first_start.get_or_init(Instant::now)
    }

    /// A handler ends.
    pub fn end(&self) {
        if self.ended.fetch_add(1, Ordering::Relaxed) + 1 == self.expected {
            self.last_end.get_or_init(Instant::now);
            self.all_ended.notify_one();
        }
    }

    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Resolves when all have ended.
    pub async fn wait(&self) {
        while self.last_end.get().is_none() {
            self.all_ended.notified().await;
        }
    }

    pub fn elapsed(&self) -> Duration {
        let end = self.last_end.get().expect("all have ended");
        end.duration_since(*self.first_start.get().expect("one has started"))
    }

    /// Events a second.
    pub fn rate(&self) -> f64 {
        self.expected as f64 / self.elapsed().as_secs_f64()
    }
}
