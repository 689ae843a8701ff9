//! How a store works.

use std::time::Duration;

use serde::Deserialize;

/// How a store works. A service may read them from a file of its own, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `forward` | true: events go on to Kafka | |
/// | `lanes` | 4 | transactions at once |
/// | `max_batch_events` | 512 | events |
/// | `max_batch_bytes` | 4 MiB | bytes |
/// | `max_queued_events` | 16,384 | events |
/// | `max_queued_bytes` | 64 MiB | bytes |
/// | `max_event_bytes` | 1 MiB | bytes |
/// | `max_page_bytes` | 256 MiB | bytes |
/// | `lease_ttl_ms` | 5,000 | milliseconds |
/// | `poll_ms` | 20 | milliseconds |
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    pub(crate) forward: bool,
    pub(crate) lanes: usize,
    pub(crate) max_batch_events: usize,
    pub(crate) max_batch_bytes: usize,
    pub(crate) max_queued_events: usize,
    pub(crate) max_queued_bytes: usize,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_page_bytes: usize,
    #[serde(rename = "lease_ttl_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) lease_ttl: Duration,
    #[serde(rename = "poll_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) poll: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            forward: true,
            lanes: 4,
            max_batch_events: 512,
            max_batch_bytes: 4 * 1_024 * 1_024,
            max_queued_events: 16_384,
            max_queued_bytes: 64 * 1_024 * 1_024,
            max_event_bytes: 1_024 * 1_024,
            max_page_bytes: 256 * 1_024 * 1_024,
            lease_ttl: Duration::from_secs(5),
            poll: Duration::from_millis(20),
        }
    }
}

impl StoreOptions {
    /// Whether events go on to Kafka: each append also writes rows of the database's outbox, for a
    /// [`Relay`](crate::outbox::Relay). All replicas say the same. Default: yes.
    pub fn forward(mut self, forward: bool) -> Self {
        self.forward = forward;
        self
    }

    /// How many transactions append at once. Appends to one stream go one after the other. Default: 4.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes.clamp(1, 256);
        self
    }

    /// The most events one transaction appends, unless a single request has more. Default: 512.
    pub fn max_batch_events(mut self, events: usize) -> Self {
        self.max_batch_events = events.max(1);
        self
    }

    /// About the most bytes one transaction appends, unless a single request has more. Default: 4 MiB.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_batch_bytes = bytes.max(1);
        self
    }

    /// How many events may wait before appends are refused with [`StoreError::Overloaded`](super::StoreError::Overloaded);
    /// also the most events of one request. Default: 16,384.
    pub fn max_queued_events(mut self, events: usize) -> Self {
        self.max_queued_events = events.max(1);
        self
    }

    /// About how many bytes may wait before appends are refused. Default: 64 MiB.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes.max(1);
        self
    }

    /// The largest event, with about 1 KiB for its metadata; at most 24 MiB, so that requests have room for it. Default: 1 MiB.
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes.clamp(1, 24 * 1_024 * 1_024);
        self
    }

    /// About how many bytes all readers together hold ready. Beyond it each still reads one event at a time. Default: 256 MiB.
    pub fn max_page_bytes(mut self, bytes: usize) -> Self {
        self.max_page_bytes = bytes.max(1);
        self
    }

    /// How long a replica that gives out positions stays that without renewal, by the database's clock; how long subscriptions
    /// wait when it crashes. Renewed each third of it. Default: 5 s.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl.max(Duration::from_millis(100));
        self
    }

    /// How soon to look for what other replicas appended. What this one appended is seen at once. Default: 20 ms.
    pub fn poll(mut self, pause: Duration) -> Self {
        self.poll = pause.max(Duration::from_millis(1));
        self
    }

    /// As the setters would have it: a file may say 0.
    pub(crate) fn bounded(self) -> Self {
        let Self { lanes, max_batch_events, max_batch_bytes, max_queued_events, .. } = self;
        let Self { max_queued_bytes, max_event_bytes, max_page_bytes, lease_ttl, poll, .. } = self;
        self.lanes(lanes)
            .max_batch_events(max_batch_events)
            .max_batch_bytes(max_batch_bytes)
            .max_queued_events(max_queued_events)
            .max_queued_bytes(max_queued_bytes)
            .max_event_bytes(max_event_bytes)
            .max_page_bytes(max_page_bytes)
            .lease_ttl(lease_ttl)
            .poll(poll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_the_names_documented() {
        let options: StoreOptions = serde_json::from_str(
            r#"{"forward": false, "lanes": 2, "max_batch_events": 3, "max_batch_bytes": 4, "max_queued_events": 5,
                "max_queued_bytes": 6, "max_event_bytes": 7, "max_page_bytes": 10, "lease_ttl_ms": 8000, "poll_ms": 9}"#,
        )
        .unwrap();
        let expected = StoreOptions::default()
            .forward(false)
            .lanes(2)
            .max_batch_events(3)
            .max_batch_bytes(4)
            .max_queued_events(5)
            .max_queued_bytes(6)
            .max_event_bytes(7)
            .max_page_bytes(10)
            .lease_ttl(Duration::from_secs(8))
            .poll(Duration::from_millis(9));
        assert_eq!(options, expected);
        assert_eq!(serde_json::from_str::<StoreOptions>("{}").unwrap(), StoreOptions::default());
        assert!(serde_json::from_str::<StoreOptions>(r#"{"poll": 9}"#).is_err());
        let zero = serde_json::from_str::<StoreOptions>(r#"{"lanes": 0, "poll_ms": 0}"#).unwrap().bounded();
        assert_eq!((zero.lanes, zero.poll), (1, Duration::from_millis(1)));
    }
}
