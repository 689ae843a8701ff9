//! How an inbox forgets.

use std::time::Duration;

/// How the inbox of a consumer forgets.
///
/// | option | default |
/// | --- | --- |
/// | `remember_events` | 7 days |
/// | `purge_interval` | 1 hour |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxOptions {
    pub(crate) remember_events: Duration,
    pub(crate) purge_interval: Duration,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self { remember_events: Duration::from_secs(7 * 24 * 60 * 60), purge_interval: Duration::from_secs(60 * 60) }
    }
}

impl InboxOptions {
    /// How long the id of an event without a sequence is remembered after it was handled. A repeat that comes later is handled
    /// again, so keep it longer than any event may be held back: by an outage, or by whoever publishes. Default: 7 days.
    pub fn remember_events(mut self, time: Duration) -> Self {
        self.remember_events = time;
        self
    }

    /// How often a running consumer deletes the ids that need not be remembered any more, a thousand at a time. Default: 1 hour.
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.purge_interval = interval.max(Duration::from_secs(1));
        self
    }
}
