//! How an audit works.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// How an audit works.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `memory` | 512 MiB | bytes |
/// | `state_file` | none | |
/// | `save_interval` | 60 | seconds |
/// | `since` | the topic's start | |
/// | `timeout` | 10 | seconds |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditOptions {
    pub(super) memory: usize,
    pub(super) state_file: Option<PathBuf>,
    pub(super) save_interval: Duration,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) timeout: Duration,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            memory: 512 * 1_024 * 1_024,
            state_file: None,
            save_interval: Duration::from_mins(1),
            since: None,
            timeout: Duration::from_secs(10),
        }
    }
}

impl AuditOptions {
    /// About how much memory the streams may take; a stream takes 40 to 75 bytes. Where they do not fit, the topic is read more
    /// than once, each time for some of them. Default: 512 MiB; at least 1 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes.max(1_024 * 1_024);
        self
    }

    /// Where to keep what was read: an audit that was interrupted goes on there, and a later one reads only what is new.
    /// Default: nowhere.
    #[must_use]
    pub fn state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_file = Some(path.into());
        self
    }

    /// How often the state file is written. Default: 60 s.
    #[must_use]
    pub fn save_interval(mut self, interval: Duration) -> Self {
        self.save_interval = interval;
        self
    }

    /// Read records of that time and later; what came before is not missed. A state file that knows of a start wins.
    /// Default: all that the topic holds.
    #[must_use]
    pub fn since(mut self, time: DateTime<Utc>) -> Self {
        self.since = Some(time);
        self
    }

    /// How long the brokers may take to answer. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_secs(1));
        self
    }
}
