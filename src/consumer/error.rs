//! Why a consumer could not start, or stopped.

use crate::dispatch::RouteConflict;
use crate::schema::RegistryError;
use crate::transport::ConsumeError;

/// A consumer could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No dispatcher was given.
    #[error("the consumer has no dispatcher: give it one with `.dispatch(…)`")]
    NoDispatcher,
    /// Two handlers take the same version of an event.
    #[error(transparent)]
    Routes(#[from] RouteConflict),
    /// A handler's event type has no usable schema.
    #[error("the schema of the event that the handler {handler} takes cannot be used")]
    Schema {
        /// The handler.
        handler: &'static str,
        /// What is wrong.
        #[source]
        source: RegistryError,
    },
    /// A topic is missing, differs from what was declared, or no broker answers.
    #[error("cannot start the consumer group {group}")]
    Topics {
        /// The group.
        group: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The Kafka client could not be made.
    #[error("cannot start the consumer group {group}")]
    Client {
        /// The group.
        group: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service's routes were asked for (`TIDINGS_ROUTES`), not its work.
    #[error("the routes were written to {path}, as TIDINGS_ROUTES asks; the consumer does not start")]
    RoutesWritten {
        /// The file.
        path: String,
    },
    /// The service's routes were asked for (`TIDINGS_ROUTES`) but could not be written.
    #[error("cannot write the routes to {path}, as TIDINGS_ROUTES asks")]
    WriteRoutes {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
}

/// A consumer that ran has stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("the consumer group {group} stopped")]
#[non_exhaustive]
pub struct RunError {
    /// The group.
    pub group: String,
    /// Why.
    #[source]
    pub source: StopReason,
}

/// Why a consumer stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// The Kafka client cannot go on.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// An event failed for good, and its policy is to stop.
    #[error("the event at {topic}[{partition}]@{offset} failed for good, and its policy is to stop: {error}")]
    Exhausted {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The handler's error and its causes.
        error: String,
    },
    /// A bug: the poll thread panicked.
    #[error("the poll thread panicked; this is a bug in tidings: {0}")]
    Panicked(String),
}
