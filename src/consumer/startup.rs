//! What is checked before a consumer starts: a wrong address or a missing topic is an error now, not silence later.

use std::sync::Arc;
use std::time::Duration;

use super::error::BuildError;
use super::options::ConsumerOptions;
use super::parked::{
    KafkaParkedOptions, KafkaParkedStore, ParkedStore, ParkedTopicError, ensure_parked_topic, parked_topic,
};
use super::plan::GroupPlan;
use crate::transport::Producer;
use crate::transport::kafka::{KafkaProducer, ProducerOptions, Retention, TopicError, TopicSpec, topics};

/// What a dead letter has more than its record, in bytes: texts of an error, and names.
const DEAD_LETTER_BYTES: u32 = 16 * 1024;

/// How long a dead letter waits for company: a request for each would take more from the others than the letters are worth.
const DEAD_LETTER_LINGER: Duration = Duration::from_millis(5);

/// Properties that would commit offsets behind the engine's back.
const FORBIDDEN: [&str; 2] = ["enable.auto.commit", "enable.auto.offset.store"];

/// Properties of the classic group protocol that the newer one has no use for, and what to do instead.
const CLASSIC: [(&str, &str); 4] = [
    ("session.timeout.ms", "the brokers set it (group.consumer.session.timeout.ms); remove it"),
    ("heartbeat.interval.ms", "the brokers set it (group.consumer.heartbeat.interval.ms); remove it"),
    ("partition.assignment.strategy", "the brokers assign; name theirs with group.remote.assignor, or remove it"),
    ("group.protocol.type", "remove it"),
];

/// What is known of a group's topics.
pub(super) struct SourceTopics {
    /// Partitions of all of them.
    pub(super) partitions: u32,
    /// The largest batch that one of them takes, in bytes, where brokers tell.
    max_message_bytes: Option<u32>,
}

/// Check that no property voids what the engine promises.
pub(super) fn check_properties(options: &ConsumerOptions) -> Result<(), BuildError> {
    for name in FORBIDDEN {
        if let Some((property, value)) = options.kafka.user_property(name)
            && !value.eq_ignore_ascii_case("false")
        {
            return Err(BuildError::Property { property: property.to_owned(), value: value.to_owned() });
        }
    }
    if options.kafka.brokers_coordinate_groups() {
        for (name, instead) in CLASSIC {
            if let Some((property, _)) = options.kafka.user_property(name) {
                return Err(BuildError::ClassicProperty { property: property.to_owned(), instead });
            }
        }
    }
    Ok(())
}

/// Check that every declared topic is one that is read: one that is not would never be compared.
pub(super) fn check_declared(declared: &[TopicSpec], plans: &[GroupPlan]) -> Result<(), BuildError> {
    let read = |topic: &TopicSpec| plans.iter().any(|plan| plan.index_of(topic.name()).is_some());
    match declared.iter().find(|topic| !read(topic)) {
        Some(topic) => Err(BuildError::UnreadTopic { topic: topic.name().to_owned() }),
        None => Ok(()),
    }
}

/// Check that the group's topics exist, as declared where they are, and its dead-letter topic too, which is created when that
/// is asked for.
pub(super) async fn check_topics(
    plan: &GroupPlan,
    options: &ConsumerOptions,
    declared: &[TopicSpec],
) -> Result<SourceTopics, BuildError> {
    let failed = |source: TopicError| BuildError::Topics { group: plan.group.to_string(), source: Box::new(source) };
    let sources: Vec<String> = plan.topics.iter().map(|plan| plan.topic.to_string()).collect();
    let found = topics::show(&options.kafka, &sources, options.startup_timeout).await.map_err(failed)?;
    topics::as_declared(declared, &found).map_err(failed)?;
    let known = SourceTopics {
        partitions: found.iter().map(|topic| topic.partitions).sum(),
        max_message_bytes: found.iter().filter_map(|topic| topic.max_message_bytes).max(),
    };
    let dead_letters = plan.dead_letter_topic.to_string();
    let shown = topics::show(&options.kafka, std::slice::from_ref(&dead_letters), options.startup_timeout).await;
    match shown {
        Ok(_) => Ok(known),
        Err(TopicError::Missing { .. }) if options.create_dead_letter_topic => {
            // As many partitions as its busiest source: redriving keeps the same spread. Kept until someone decides.
            let partitions = found.iter().map(|topic| topic.partitions).max().unwrap_or(1);
            let mut spec = TopicSpec::new(dead_letters, partitions).retention(Retention::Forever);
            if let Some(bytes) = known.max_message_bytes {
                spec = spec.config("max.message.bytes", bytes.saturating_add(DEAD_LETTER_BYTES).to_string());
            }
            topics::ensure(&options.kafka, &[spec], options.startup_timeout).await.map_err(failed)?;
            Ok(known)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes the group's dead letters, acknowledged by all replicas, however large their records are.
pub(super) fn dead_letter_producer(
    plan: &GroupPlan,
    options: &ConsumerOptions,
    topics: &SourceTopics,
) -> Result<Arc<dyn Producer>, BuildError> {
    let limit = topics.max_message_bytes.unwrap_or(1024 * 1024).saturating_add(DEAD_LETTER_BYTES);
    match KafkaProducer::new(&options.kafka, &ProducerOptions::new().fitting(limit).linger(DEAD_LETTER_LINGER)) {
        Ok(producer) => Ok(Arc::new(producer)),
        Err(error) => Err(BuildError::Client { group: plan.group.to_string(), source: Box::new(error) }),
    }
}

/// Where the group's parked events are kept when no other store is given: the topic is created where a policy parks keys, and looked
/// into wherever it is there, since the events of an earlier policy are not forgotten.
pub(super) async fn kafka_parked_store(
    plan: &GroupPlan,
    options: &ConsumerOptions,
    topics: &SourceTopics,
) -> Result<Option<Arc<dyn ParkedStore>>, BuildError> {
    let parking = plan.parking_route();
    let topic = options.parked_topic.clone().unwrap_or_else(|| parked_topic(&plan.group));
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| match parking {
        Some(route) => BuildError::NoParkedStore { handler: route.handler, source },
        None => BuildError::Parked { group: plan.group.to_string(), source },
    };
    let timeout = options.startup_timeout;
    if parking.is_none() {
        match topics::exists(&options.kafka, &topic, timeout).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // Whoever may not see it has nothing in it.
            Err(error) => {
                tracing::debug!(group = &*plan.group, %error, "whether there is a topic of parked events is not known");
                return Ok(None);
            }
        }
    }
    let largest = topics.max_message_bytes;
    let create = options.create_parked_topic && parking.is_some();
    let ensured = ensure_parked_topic(&options.kafka, &topic, create, largest, timeout).await;
    ensured.map_err(|error: ParkedTopicError| failed(Box::new(error)))?;
    let mut store = KafkaParkedOptions::new().topic(topic).patience(timeout);
    if let Some(largest) = largest {
        store = store.largest_record(largest);
    }
    let store = KafkaParkedStore::new(&options.kafka, store).map_err(|error| failed(Box::new(error)))?;
    Ok(Some(Arc::new(store)))
}
