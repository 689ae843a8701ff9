//! What can be wrong with a topic.

use super::KafkaError;

/// A topic is not as declared, could not be created, or could not be asked about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The topic does not exist.
    #[error("topic {topic} does not exist: create it with `tidings topics ensure`")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// The topic's name is not allowed.
    #[error("`{topic}` cannot be a topic's name: {reason}")]
    Name {
        /// The name.
        topic: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The topic has another number of partitions. They are never changed silently: keys would move, and their events with
    /// them out of order.
    #[error(
        "topic {topic} has {found} partitions where {expected} are declared: declare {found}, \
         or delete the topic if it holds nothing of value and run `tidings topics ensure`"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many are declared.
        expected: u32,
        /// How many there are.
        found: u32,
    },
    /// The cluster did not create the topic.
    #[error("topic {topic} was not created: {reason}")]
    NotCreated {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// The cluster did not tell about the topic.
    #[error("topic {topic} cannot be described: {reason}")]
    NotDescribed {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// A declaration cannot be read.
    #[error("the topic declaration of {source_name} cannot be read: {reason}")]
    Declaration {
        /// The source whose topic it declares.
        source_name: String,
        /// What is wrong.
        reason: String,
    },
    /// Several topics are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
    /// No broker could be asked.
    #[error("the topics could not be checked")]
    Kafka(#[from] KafkaError),
}

impl TopicError {
    /// One error of all of `errors`, if there are any.
    pub(super) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }
}
