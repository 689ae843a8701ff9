//! How healthy a consumer is: live means that its threads turn, ready that it has its partitions and gets on with them.
//!
//! The poll thread writes down about once a second what it knows; whoever asks reads that, and how long ago the thread last turned.
//! So a thread that hangs is noticed, and what it hangs in is named.

mod hot_keys;
mod irregular_streams;
mod key_label;
mod options;
mod publish;
mod pulse;
mod watch;

use std::time::Duration;

use serde::{Serialize, Serializer};

pub(crate) use hot_keys::HotKeys;
pub(crate) use irregular_streams::{Counted, Irregularities, Irregularity};
pub use irregular_streams::{IrregularStreams, StreamCount};
pub(crate) use key_label::label;
pub use options::HealthOptions;
pub(crate) use pulse::{Place, Pulse};
pub(crate) use watch::watch;

/// How healthy a consumer is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConsumerHealth {
    /// Whether the threads of all groups turn. A process that is not live does not recover by itself.
    pub live: bool,
    /// Whether all groups are ready.
    pub ready: bool,
    /// Each group.
    pub groups: Vec<GroupHealth>,
}

/// How healthy a group's member in this process is, as of about a second ago.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[non_exhaustive]
pub struct GroupHealth {
    /// The consumer group.
    pub group: String,
    /// Whether its thread turned within [`HealthOptions::poll_timeout`].
    pub live: bool,
    /// Whether it is in the group, no handler is stuck, and within [`HealthOptions::progress_timeout`] every partition with something
    /// waiting moved, and commits of offsets did not only fail.
    pub ready: bool,
    /// Why it is not live or not ready, in words.
    pub reasons: Vec<String>,
    /// The partitions assigned to it.
    pub partitions: Vec<PartitionHealth>,
    /// Handlers running as tasks.
    pub in_flight: usize,
    /// Bytes of records held.
    pub buffered_bytes: usize,
    /// Keys whose next event waits for a place.
    pub waiting_keys: usize,
    /// Keys whose next event failed and waits for its next attempt.
    pub retrying_keys: usize,
    /// The keys with the most events in about the last minute, the hottest first. An estimate.
    pub hottest_keys: Vec<HotKey>,
    /// The streams of which most events are missing or came again, by what their sequences show.
    pub irregular_streams: IrregularStreams,
    /// What has been running for longer than it may.
    pub stuck: Vec<StuckCompletion>,
    /// How long commits of offsets have been failing, one after the other; `None` while they are taken.
    #[serde(rename = "commits_failing_seconds", serialize_with = "optional_seconds")]
    pub commits_failing: Option<Duration>,
    /// The latest problem that the Kafka client reported and deals with itself.
    pub client_problem: Option<ClientProblem>,
    /// Records taken, by topic.
    #[serde(skip)]
    pub(crate) consumed: Vec<(String, u64)>,
    /// What the streams' sequences show, by topic.
    #[serde(skip)]
    pub(crate) irregular: Vec<(String, Counted)>,
}

/// How a partition gets on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[non_exhaustive]
pub struct PartitionHealth {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whether it is on its way back to the group: nothing new is started.
    pub giving_back: bool,
    /// Whether somebody paused it. It is not expected to move then.
    pub paused: bool,
    /// The committed offset, as far as this assignment knows.
    pub committed: Option<i64>,
    /// The first offset that is not done. `None` before the first record of a partition that nobody committed.
    pub watermark: Option<i64>,
    /// The next offset to take.
    pub next: Option<i64>,
    /// Behind the newest record, as the broker last said.
    pub end: Option<i64>,
    /// From the watermark to the end. Transactions' own marks count too: behind one it may stay at 1.
    pub lag_messages: Option<u64>,
    /// How old the oldest record is that is not done, by its timestamp; zero where nothing waits.
    #[serde(rename = "lag_seconds", serialize_with = "optional_seconds")]
    pub lag: Option<Duration>,
    /// The oldest record that was taken and is not done.
    pub oldest_unfinished: Option<UnfinishedEvent>,
    /// Handlers and dead letters under way.
    pub running: usize,
    /// Bytes of records held.
    pub buffered_bytes: usize,
    /// Keys whose next event waits for a place.
    pub waiting_keys: usize,
}

/// The oldest event of a partition that is not done: it holds the committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnfinishedEvent {
    /// Its offset.
    pub offset: i64,
    /// How long it has been the oldest.
    #[serde(rename = "unmoved_seconds", serialize_with = "seconds")]
    pub unmoved: Duration,
    /// What it is waiting for; known once it has been the oldest for some seconds.
    pub waits_for: Option<String>,
}

/// Something that has been running for longer than it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StuckCompletion {
    /// What runs: a handler, or what the engine does for it.
    pub running: &'static str,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The event's offset.
    pub offset: i64,
    /// The event's key, or what stands for it; see [`HealthOptions::show_keys`].
    pub key: Option<String>,
    /// How long it has been running.
    #[serde(rename = "running_seconds", serialize_with = "seconds")]
    pub running_for: Duration,
    /// How long it may.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout: Duration,
}

/// A key with many events.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HotKey {
    /// The topic.
    pub topic: String,
    /// The key, or what stands for it; see [`HealthOptions::show_keys`].
    pub key: String,
    /// Its events in about the last minute.
    pub events: u64,
    /// Its part of all events in that time, from 0 to 1.
    pub share: f64,
}

/// A problem that the Kafka client reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClientProblem {
    /// What it says.
    pub problem: String,
    /// How long ago.
    #[serde(rename = "seconds_ago", serialize_with = "seconds")]
    pub ago: Duration,
}

impl ConsumerHealth {
    /// Of these groups.
    pub(crate) fn of(groups: Vec<GroupHealth>) -> Self {
        Self { live: groups.iter().all(|group| group.live), ready: groups.iter().all(|group| group.ready), groups }
    }

    /// Why it is not live or not ready: `{group}: {reason}`.
    pub fn reasons(&self) -> impl Iterator<Item = String> {
        self.groups.iter().flat_map(|group| group.reasons.iter().map(|reason| format!("{}: {reason}", group.group)))
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn optional_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
#[cfg(feature = "http")]
mod tests;
