//! The parked topic: how it is created, and what it must be.

use std::time::Duration;

use crate::transport::kafka::{KafkaOptions, TopicError, TopicSpec, topics};

/// What a parked event has more than its record, in bytes: texts of an error, names, and its key once more.
const MORE_BYTES: u32 = 32 * 1024;

/// Segments are closed early: only closed ones are compacted, and everything that is there is read at startup.
const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;
const SEGMENT_TIME: Duration = Duration::from_hours(1);

/// The topic of parked events cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParkedTopicError {
    /// It is missing, could not be created, or no broker answers.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// It has more than one partition.
    #[error(
        "the topic of parked events {topic} has {found} partitions, and must have one: what is parked, released and asked for is told \
         by the order of its records; name another topic with `parked_topic`"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        found: u32,
    },
    /// It would lose what is parked.
    #[error(
        "the topic of parked events {topic} has cleanup.policy={found}, which deletes what is parked; set it to compact"
    )]
    Policy {
        /// The topic.
        topic: String,
        /// Its policy.
        found: String,
    },
}

/// The topic of `group`'s parked events, where none is named.
pub fn parked_topic(group: &str) -> String {
    format!("{group}.parked")
}

/// The largest record of the parked topic, in bytes, where the largest that is parked has `largest`.
pub(crate) fn largest_record(largest: u32) -> u32 {
    largest.saturating_add(largest / 2).saturating_add(MORE_BYTES)
}

/// Check the topic of parked events; create it when it is missing and `create` says so. `largest` is the largest record of the topics
/// whose events are parked, in bytes.
///
/// # Errors
/// It is missing and not to be created, it has more than one partition, it deletes records, or no broker answers within `deadline`.
pub async fn ensure_parked_topic(
    kafka: &KafkaOptions,
    topic: &str,
    create: bool,
    largest: Option<u32>,
    deadline: Duration,
) -> Result<(), ParkedTopicError> {
    if create && !topics::exists(kafka, topic, deadline).await? {
        let mut spec = TopicSpec::new(topic, 1)
            .compaction(true)
            .config("segment.bytes", SEGMENT_BYTES.max(largest.map_or(0, largest_record)).to_string())
            .config("segment.ms", SEGMENT_TIME.as_millis().to_string());
        if let Some(largest) = largest {
            spec = spec.config("max.message.bytes", largest_record(largest).to_string());
        }
        match topics::ensure(kafka, &[spec], deadline).await {
            // Somebody else was faster; what it is shows below.
            Ok(_) | Err(TopicError::Partitions { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let states = topics::show(kafka, &[topic.to_owned()], deadline).await?;
    let Some(state) = states.first() else { return Err(TopicError::Missing { topic: topic.to_owned() }.into()) };
    if state.partitions != 1 {
        return Err(ParkedTopicError::Partitions { topic: topic.to_owned(), found: state.partitions });
    }
    match &state.cleanup_policy {
        Some(policy) if policy != "compact" => {
            Err(ParkedTopicError::Policy { topic: topic.to_owned(), found: policy.clone() })
        }
        _ => Ok(()),
    }
}
