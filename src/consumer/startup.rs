//! What is checked before a consumer starts: a wrong address or a missing topic is an error now, not silence later.

use std::sync::Arc;

use super::error::BuildError;
use super::options::ConsumerOptions;
use super::plan::GroupPlan;
use crate::transport::Producer;
use crate::transport::kafka::{KafkaProducer, ProducerOptions, TopicError, TopicSpec, topics};

/// Check that the group's topics exist, and its dead-letter topic too, which is created when that is asked for.
pub(super) async fn check_topics(plan: &GroupPlan, options: &ConsumerOptions) -> Result<(), BuildError> {
    let failed = |source: TopicError| BuildError::Topics { group: plan.group.to_string(), source: Box::new(source) };
    let sources: Vec<String> = plan.topics.keys().map(ToString::to_string).collect();
    let found = topics::show(&options.kafka, &sources, options.startup_timeout).await.map_err(failed)?;
    let dead_letters = plan.dead_letter_topic.to_string();
    let shown = topics::show(&options.kafka, std::slice::from_ref(&dead_letters), options.startup_timeout).await;
    match shown {
        Ok(_) => Ok(()),
        Err(TopicError::Missing { .. }) if options.create_dead_letter_topic => {
            // As many partitions as its busiest source: redriving keeps the same spread.
            let partitions = found.iter().map(|topic| topic.partitions).max().unwrap_or(1);
            let spec = TopicSpec::new(dead_letters, partitions);
            topics::ensure(&options.kafka, &[spec], options.startup_timeout).await.map_err(failed)?;
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes the group's dead letters, acknowledged by all replicas.
pub(super) fn dead_letter_producer(
    plan: &GroupPlan,
    options: &ConsumerOptions,
) -> Result<Arc<dyn Producer>, BuildError> {
    match KafkaProducer::new(&options.kafka, &ProducerOptions::default()) {
        Ok(producer) => Ok(Arc::new(producer)),
        Err(error) => Err(BuildError::Client { group: plan.group.to_string(), source: Box::new(error) }),
    }
}
