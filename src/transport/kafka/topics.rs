//! Topics: declared beside their source, created on request, checked at startup.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{ConfigResource, ConfigSource};

use super::admin::{Shape, Visit, visit};
use super::{KafkaOptions, TopicError, TopicSpec};

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicState {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// How many brokers keep a copy.
    pub replication: u16,
    /// The largest batch it takes, in bytes; `None` where brokers do not tell.
    pub max_message_bytes: Option<u32>,
    /// How many copies must be written before acks from all are given; `None` where brokers do not tell.
    pub min_insync_replicas: Option<u32>,
    /// How long records are kept, in milliseconds, -1 for ever; `None` where brokers do not tell.
    pub retention_ms: Option<i64>,
    /// `delete`, `compact` or both; `None` where brokers do not tell.
    pub cleanup_policy: Option<String>,
    /// What was set for this topic, where it differs from the broker's defaults.
    pub config: BTreeMap<String, String>,
}

/// What [`ensure`] did for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// It was created.
    Created,
    /// It was there, with as many partitions as declared.
    Existed,
}

/// Create those of `topics` that are missing; the answers are in their order. Existing topics are left as they are.
///
/// # Errors
/// A topic exists with another number of partitions, the cluster refuses to create one, or no broker answers within
/// `deadline`. What could be created was created all the same.
pub async fn ensure(
    kafka: &KafkaOptions,
    topics: &[TopicSpec],
    deadline: Duration,
) -> Result<Vec<(String, Ensured)>, TopicError> {
    let topics = topics.to_vec();
    visit(kafka, deadline, move |visit| {
        let (mut ensured, mut wrong) = (Vec::new(), Vec::new());
        for topic in &topics {
            match ensure_one(visit, topic) {
                Ok(done) => ensured.push((topic.name().to_owned(), done)),
                // The next topic would wait for the same brokers.
                Err(error @ TopicError::Kafka(_)) => return Err(error),
                Err(error) => wrong.push(error),
            }
        }
        TopicError::all(wrong).map(|()| ensured)
    })
    .await
}

/// Check that `topics` exist, with as many partitions as declared; the answers are in their order.
///
/// # Errors
/// One is missing or has another number of partitions (all of them are named), or no broker answers within `deadline`.
pub async fn check(
    kafka: &KafkaOptions,
    topics: &[TopicSpec],
    deadline: Duration,
) -> Result<Vec<TopicState>, TopicError> {
    let topics = topics.to_vec();
    visit(kafka, deadline, move |visit| {
        let (mut states, mut wrong) = (Vec::new(), Vec::new());
        for topic in &topics {
            match describe(visit, topic.name()) {
                Ok(state) => match same_partitions(topic, state.partitions) {
                    Ok(()) => states.push(state),
                    Err(error) => wrong.push(error),
                },
                Err(error @ TopicError::Kafka(_)) => return Err(error),
                Err(error) => wrong.push(error),
            }
        }
        TopicError::all(wrong).map(|()| states)
    })
    .await
}

/// The state of each of `topics`, in their order.
///
/// # Errors
/// One is missing, or no broker answers within `deadline`.
pub async fn show(kafka: &KafkaOptions, topics: &[String], deadline: Duration) -> Result<Vec<TopicState>, TopicError> {
    let topics = topics.to_vec();
    visit(kafka, deadline, move |visit| {
        let (mut states, mut wrong) = (Vec::new(), Vec::new());
        for topic in &topics {
            match describe(visit, topic) {
                Ok(state) => states.push(state),
                Err(error @ TopicError::Kafka(_)) => return Err(error),
                Err(error) => wrong.push(error),
            }
        }
        TopicError::all(wrong).map(|()| states)
    })
    .await
}

/// Whether `topic` exists.
///
/// # Errors
/// No broker answers within `deadline`, or the brokers do not tell.
#[cfg(feature = "consumer")]
pub(crate) async fn exists(kafka: &KafkaOptions, topic: &str, deadline: Duration) -> Result<bool, TopicError> {
    let topic = topic.to_owned();
    visit(kafka, deadline, move |visit| Ok(visit.shape(&topic)?.is_some())).await
}

fn ensure_one(visit: &Visit, topic: &TopicSpec) -> Result<Ensured, TopicError> {
    let (shape, ensured) = if let Some(shape) = visit.shape(topic.name())? {
        (shape, Ensured::Existed)
    } else {
        visit.create(topic)?;
        (visit.wait_for(topic.name())?, Ensured::Created)
    };
    same_partitions(topic, shape.partitions).map(|()| ensured)
}

fn same_partitions(topic: &TopicSpec, found: u32) -> Result<(), TopicError> {
    if topic.partitions() == found {
        return Ok(());
    }
    Err(TopicError::Partitions { topic: topic.name().to_owned(), expected: topic.partitions(), found })
}

/// Check that those of `found` that are declared have as many partitions as `declared` says.
#[cfg(feature = "consumer")]
pub(crate) fn as_declared(declared: &[TopicSpec], found: &[TopicState]) -> Result<(), TopicError> {
    let compare = |topic: &TopicSpec| {
        let state = found.iter().find(|state| state.name == topic.name())?;
        same_partitions(topic, state.partitions).err()
    };
    TopicError::all(declared.iter().filter_map(compare).collect())
}

fn describe(visit: &Visit, topic: &str) -> Result<TopicState, TopicError> {
    let shape = visit.settled_shape(topic)?.ok_or_else(|| TopicError::Missing { topic: topic.to_owned() })?;
    Ok(state(topic, shape, visit.properties(topic)?.as_ref()))
}

fn state(topic: &str, shape: Shape, properties: Option<&ConfigResource>) -> TopicState {
    let value = |name: &str| properties.and_then(|properties| properties.get(name)?.value.clone());
    let own = properties.into_iter().flat_map(|properties| &properties.entries);
    let own = own.filter(|entry| entry.source == ConfigSource::DynamicTopic && !entry.is_sensitive);
    TopicState {
        name: topic.to_owned(),
        partitions: shape.partitions,
        replication: shape.replication,
        max_message_bytes: value("max.message.bytes").and_then(|value| value.parse().ok()),
        min_insync_replicas: value("min.insync.replicas").and_then(|value| value.parse().ok()),
        retention_ms: value("retention.ms").and_then(|value| value.parse().ok()),
        cleanup_policy: value("cleanup.policy"),
        config: own.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?))).collect(),
    }
}
