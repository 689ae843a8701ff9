//! When a consumer counts as healthy.

use std::time::Duration;

use serde::Deserialize;

/// When a consumer counts as live and as ready, and what is told of it. A service may read them from a file, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `poll_timeout_ms` | 60,000 | milliseconds |
/// | `progress_timeout_ms` | 300,000 | milliseconds |
/// | `handler_grace_ms` | 10,000 | milliseconds |
/// | `hottest_keys` | 10 | keys of a group |
/// | `irregular_streams` | 10 | streams of a group, of each kind |
/// | `show_keys` | false | |
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct HealthOptions {
    #[serde(rename = "poll_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) poll_timeout: Duration,
    #[serde(rename = "progress_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) progress_timeout: Duration,
    #[serde(rename = "handler_grace_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) handler_grace: Duration,
    pub(crate) hottest_keys: usize,
    pub(crate) irregular_streams: usize,
    pub(crate) show_keys: bool,
}

impl HealthOptions {
    /// How long a group's thread may take for one turn and still count as live. Default: 60 s. It turns many times a second, unless
    /// a handler or a filter keeps it.
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.poll_timeout = timeout;
        self
    }

    /// How long a partition may stay where it is, with something waiting, and its group still count as ready. Default: 5 min. An
    /// event that is retried for longer than this makes its group unready, though other keys go on; so do commits of offsets that have
    /// failed for longer, one after the other.
    pub fn progress_timeout(mut self, timeout: Duration) -> Self {
        self.progress_timeout = timeout;
        self
    }

    /// How long after its timeout a handler may still run before it counts as stuck. Default: 10 s. The timeout cancels a handler
    /// where it awaits; one that blocks its thread is not cancelled by it.
    pub fn handler_grace(mut self, grace: Duration) -> Self {
        self.handler_grace = grace;
        self
    }

    /// How many of the hottest keys are told, at most 64; 0 does not look for them. Default: 10.
    pub fn hottest_keys(mut self, keys: usize) -> Self {
        self.hottest_keys = keys;
        self
    }

    /// How many of the streams with gaps are told, of those with repeats, and so on, at most 64. Default: 10.
    pub fn irregular_streams(mut self, streams: usize) -> Self {
        self.irregular_streams = streams;
        self
    }

    /// Whether keys and streams are told as they are, in health and in the log. Default: `false`; they are people's data, so that a
    /// fingerprint is told instead: the same for the same key as long as the process lives, and of no use outside of it.
    pub fn show_keys(mut self, show: bool) -> Self {
        self.show_keys = show;
        self
    }
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            poll_timeout: Duration::from_mins(1),
            progress_timeout: Duration::from_mins(5),
            handler_grace: Duration::from_secs(10),
            hottest_keys: 10,
            irregular_streams: 10,
            show_keys: false,
        }
    }
}
