//! Names after OpenTelemetry's messaging conventions; what they do not know is under `tidings.`.

/// Counter: records a producer tried to send, with [`ERROR_TYPE`] where one failed. Unit: messages.
pub const SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// Histogram: from taking a record to its acknowledgement, where someone awaits it. Unit: seconds.
pub const OPERATION_DURATION: &str = "messaging.client.operation.duration";
/// Counter: events that were to be published and were not, with [`ERROR_TYPE`]. Unit: events.
pub const DROPPED_EVENTS: &str = "tidings.publisher.dropped.events";
/// Counter: transactions that were run again after a conflict. Unit: attempts.
pub const TRANSACTION_RETRIES: &str = "tidings.database.transaction.retries";
/// Counter: events that an inbox knew, and whose handlers did not run. Unit: events.
pub const INBOX_REPEATS: &str = "tidings.inbox.repeats";
/// Counter: events whose place in their stream an inbox knows as another event's. Unit: events.
pub const INBOX_FORKS: &str = "tidings.inbox.forks";
/// Counter: events that a relay wrote and Kafka acknowledged. Unit: events.
pub const OUTBOX_PUBLISHED: &str = "tidings.outbox.published.events";
/// Counter: events that Kafka refused and a relay parked. Unit: events.
pub const OUTBOX_PARKED: &str = "tidings.outbox.parked.events";
/// Counter: how often a relay began again from the table, with [`ERROR_TYPE`]. Unit: restarts.
pub const OUTBOX_RESTARTS: &str = "tidings.outbox.relay.restarts";
/// Gauge: rows in the outbox; a backlog of more than a million counts as a million. Unit: events.
pub const OUTBOX_BACKLOG: &str = "tidings.outbox.backlog";
/// Gauge: the age of the oldest row in the outbox. Unit: seconds.
pub const OUTBOX_OLDEST_AGE: &str = "tidings.outbox.oldest.age";
/// Gauge: how many of the 256 buckets a relay of this process owns. Unit: buckets.
pub const OUTBOX_BUCKETS_OWNED: &str = "tidings.outbox.buckets.owned";

/// Attribute: always [`KAFKA`].
pub const SYSTEM: &str = "messaging.system";
/// The value of [`SYSTEM`].
pub const KAFKA: &str = "kafka";
/// Attribute: the topic.
pub const DESTINATION: &str = "messaging.destination.name";
/// Attribute: what is done, such as [`SEND`].
pub const OPERATION_NAME: &str = "messaging.operation.name";
/// Attribute: what kind of thing is done, such as [`SEND`].
pub const OPERATION_TYPE: &str = "messaging.operation.type";
/// The value of [`OPERATION_NAME`] and [`OPERATION_TYPE`] for a record that is written.
pub const SEND: &str = "send";
/// Attribute: a low-cardinality word for what failed.
pub const ERROR_TYPE: &str = "error.type";
