//! Why a consumer could not start, or stopped.

use crate::dispatch::RouteConflict;
use crate::error_report::debug_as_report;
use crate::schema::RegistryError;
use crate::transport::{ConsumeError, TopicPartition};

/// A consumer could not be built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The service has no name.
    #[error("the consumer's service has no name: groups begin with it, so set `service`")]
    NoService,
    /// A property would void the promise that an offset is committed only behind what is complete.
    #[error("the Kafka property {property} = {value} would commit offsets of events that are not complete; remove it")]
    Property {
        /// The property.
        property: String,
        /// Its value.
        value: String,
    },
    /// A property of the classic group protocol, with the newer one.
    #[error("the Kafka property {property} is not for group.protocol = consumer: {instead}")]
    ClassicProperty {
        /// The property.
        property: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A policy parks keys, and there is nowhere to keep their events.
    #[error(
        "the policy of {handler} is to park keys, and the topic that is to keep their events cannot be used; mend that, or give a \
         database with `.database(…)` or a store with `.parked_store(…)`"
    )]
    NoParkedStore {
        /// The handler.
        handler: &'static str,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The topic of parked events is there, and cannot be used.
    #[error("the events that the consumer group {group} parked in Kafka cannot be looked for")]
    Parked {
        /// The group.
        group: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A policy parks keys where events are not ordered by key.
    #[error(
        "the policy of {handler} is to park keys, and its order is not that of keys: dead-letter its events, or order them by key"
    )]
    ParkWithoutKeys {
        /// The handler.
        handler: &'static str,
    },
    /// A handler takes a `Transaction`, and its events have no order.
    #[error(
        "the handler {handler} takes a Transaction, and its events have no order: behind a later event of a stream an earlier one \
         would count as handled before; order them by key, or by partition"
    )]
    UnorderedTransaction {
        /// The handler.
        handler: &'static str,
    },
    /// A handler takes a `Transaction`, and another one of its group and topic has another order.
    #[error(
        "{handler} takes a Transaction, and the events of {other} have another order: an earlier event of a stream could count as \
         handled before behind a later one; give them one order, or groups of their own"
    )]
    TransactionsOfTwoOrders {
        /// The handler.
        handler: &'static str,
        /// The other one.
        other: &'static str,
    },
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
    /// A handler takes a `Transaction`, and there is no database.
    #[error(
        "the handler {handler} takes a Transaction, and the consumer has no database: give it one with `.database(…)`"
    )]
    NoDatabase {
        /// The handler.
        handler: &'static str,
    },
    /// The database cannot keep the inbox.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    #[error("the consumer's database cannot keep the inbox")]
    Database(#[source] crate::database::Error),
    /// A file of tenants' limits was given, and nothing says whose an event is.
    #[error("{} has the limits of tenants, and nothing says whose an event is: say it with `.tenants(…)`", path.display())]
    NoTenants {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The file of tenants' limits cannot be used.
    #[error(transparent)]
    TenantLimits(#[from] super::tenants::TenantLimitsError),
    /// A topic is missing, differs from what was declared, or no broker answers.
    #[error("cannot start the consumer group {group}")]
    Topics {
        /// The group.
        group: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A topic was declared that no dispatcher reads.
    #[error("the topic {topic} is declared, but no dispatcher reads it: correct its name, or remove the declaration")]
    UnreadTopic {
        /// The topic.
        topic: String,
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
#[derive(thiserror::Error)]
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
    /// The offsets of a partition went back: the topic was created anew, or lost its end. Going on would skip what is there now.
    #[error(
        "the offsets of {partition} went back from {from} to {to}: the topic was created anew, or lost records in an unclean \
         election; start the consumer again to go on with what is there"
    )]
    WentBack {
        /// The partition.
        partition: TopicPartition,
        /// The offset that was expected next.
        from: i64,
        /// The offset that came.
        to: i64,
    },
    /// A dead letter can never be written.
    #[error("the dead letter of {topic}[{partition}]@{offset} cannot be written to {dead_letter_topic}: {reason}")]
    DeadLetterRefused {
        /// The record's topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// The topic that refuses it.
        dead_letter_topic: String,
        /// Why.
        reason: String,
    },
    /// More events of one key are parked than `max_parked_per_key` allows.
    #[error(
        "{parked} events of one key of {partition} are parked, which is the most that may be; release or discard the key, or raise \
         max_parked_per_key"
    )]
    TooManyParked {
        /// The partition.
        partition: TopicPartition,
        /// How many.
        parked: u64,
    },
    /// It was started again and again, and kept failing.
    #[error("it failed {failures} times within {window:?}, the last time because: {last}")]
    KeepsFailing {
        /// How often.
        failures: u32,
        /// Within what time.
        window: std::time::Duration,
        /// The last reason, and its causes.
        last: String,
    },
    /// A bug: the poll thread panicked.
    #[error("the poll thread panicked; this is a bug in tidings: {0}")]
    Panicked(String),
}

debug_as_report!(BuildError);
debug_as_report!(RunError);
