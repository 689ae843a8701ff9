//! Whether an outbox is emptied.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::held_topics::{self, HeldTopic};
use super::status::{backlog, parked_backlog, rows_a_bucket, unowned};
use crate::database::Database;

/// The most rows counted.
const COUNTED: u32 = 10_000;
/// The most buckets told.
const FULLEST: usize = 10;

/// When an outbox counts as healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct OutboxLimits {
    oldest: Duration,
    parked: Option<Duration>,
}

/// How an outbox gets on, measured cheaply.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutboxHealth {
    /// Whether the oldest row is younger than [`OutboxLimits::oldest`], every bucket is owned by a relay, every topic takes its events,
    /// and no event has been parked for longer than [`OutboxLimits::parked`], where that is limited.
    pub ready: bool,
    /// Why not, in words.
    pub reasons: Vec<String>,
    /// How many events wait; more than 10,000 count as that many.
    pub rows: u64,
    /// The age of the oldest of them.
    #[serde(rename = "oldest_seconds", serialize_with = "seconds")]
    pub oldest: Duration,
    /// The buckets that most of the oldest 10,000 events wait in, those with the most first; at most ten. One that stands out is a busy
    /// key's, or one whose events do not go on.
    pub fullest_buckets: Vec<FullBucket>,
    /// How many of the 256 buckets no relay owns.
    pub unowned_buckets: u64,
    /// The topics that take no events: their events wait.
    pub held_topics: Vec<HeldTopic>,
    /// How many events are parked: Kafka refused them, or they wait behind one that it refused. More than 10,000 count as that many.
    pub parked: u64,
    /// How long the one that has been parked longest is.
    #[serde(rename = "oldest_parked_seconds", serialize_with = "seconds")]
    pub oldest_parked: Duration,
}

/// A bucket, and how many events wait in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FullBucket {
    /// Which of the 256.
    pub bucket: u8,
    /// How many of the oldest events wait in it.
    pub rows: u64,
}

impl OutboxLimits {
    /// How old the oldest row may be. Default: 60 s.
    pub fn oldest(mut self, age: Duration) -> Self {
        self.oldest = age;
        self
    }

    /// For how long events may be parked. Default: without limit; they hold back their own streams only, and are counted in
    /// [`OutboxHealth::parked`] all the same.
    pub fn parked(mut self, age: Duration) -> Self {
        self.parked = Some(age);
        self
    }
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { oldest: Duration::from_mins(1), parked: None }
    }
}

/// How the outbox of `database` gets on. A database that does not answer is a reason, not an error.
pub async fn health(database: &Database, limits: &OutboxLimits) -> OutboxHealth {
    let read = async {
        let (backlog, unowned) = (backlog(database, COUNTED).await?, unowned(database).await?);
        let held = held_topics::read(database).await?;
        let parked = parked_backlog(database, COUNTED).await?;
        Ok::<_, sqlx::Error>((backlog, rows_a_bucket(database, COUNTED).await?, unowned, held, parked))
    };
    let ((rows, oldest), a_bucket, unowned_buckets, held_topics, (parked, oldest_parked)) = match read.await {
        Ok(read) => read,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the health of an outbox could not be read");
            let reasons = vec!["the database does not answer; the log says why".to_owned()];
            return OutboxHealth {
                ready: false,
                reasons,
                rows: 0,
                oldest: Duration::ZERO,
                fullest_buckets: Vec::new(),
                unowned_buckets: 0,
                held_topics: Vec::new(),
                parked: 0,
                oldest_parked: Duration::ZERO,
            };
        }
    };
    let mut reasons = Vec::new();
    if oldest > limits.oldest {
        reasons.push(format!("its oldest event has waited for {} s", oldest.as_secs()));
    }
    if unowned_buckets > 0 {
        reasons.push(format!("no relay owns {unowned_buckets} of its buckets"));
    }
    for HeldTopic { topic, reason, held_for, .. } in &held_topics {
        reasons.push(format!("the topic {topic} has taken no events for {} s: {reason}", held_for.as_secs()));
    }
    if parked > 0 && limits.parked.is_some_and(|limit| oldest_parked > limit) {
        reasons.push(format!("{parked} of its events are parked, one of them for {} s", oldest_parked.as_secs()));
    }
    let ready = reasons.is_empty();
    let mut fullest_buckets: Vec<_> = a_bucket.into_iter().map(|(bucket, rows)| FullBucket { bucket, rows }).collect();
    fullest_buckets.sort_unstable_by_key(|FullBucket { bucket, rows }| (Reverse(*rows), *bucket));
    fullest_buckets.truncate(FULLEST);
    OutboxHealth { ready, reasons, rows, oldest, fullest_buckets, unowned_buckets, held_topics, parked, oldest_parked }
}

pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
