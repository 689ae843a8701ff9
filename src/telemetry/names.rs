//! Names after OpenTelemetry's messaging conventions; what they do not know is under `tidings.`.

/// Counter: records a producer tried to send, with [`ERROR_TYPE`] where one failed. Unit: messages.
pub const SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// Histogram: from taking a record to its acknowledgement, where someone awaits it. Unit: seconds.
pub const OPERATION_DURATION: &str = "messaging.client.operation.duration";
/// Counter: records a consumer took, per [`DESTINATION`]. Unit: messages.
pub const CONSUMED_MESSAGES: &str = "messaging.client.consumed.messages";
/// Histogram: one attempt of a handler, per [`HANDLER`], with [`ERROR_TYPE`] where it failed. About a thousand attempts a second are
/// measured of each handler, so its count is not the number of events. Unit: seconds.
pub const PROCESS_DURATION: &str = "messaging.process.duration";
/// Counter: events whose handler said they are done. Unit: events.
pub const CONSUMER_HANDLED: &str = "tidings.consumer.handled.events";
/// Counter: attempts that failed and are made again. Unit: attempts.
pub const CONSUMER_RETRIED: &str = "tidings.consumer.retried.attempts";
/// Counter: events written to the dead-letter topic. Unit: events.
pub const CONSUMER_DEAD_LETTERED: &str = "tidings.consumer.dead_lettered.events";
/// Counter: events parked, those that failed and those that came behind them. Unit: events.
pub const CONSUMER_PARKED: &str = "tidings.consumer.parked.events";
/// Counter: parked events that were handled after all, dead-lettered, or skipped by an operator. Unit: events.
pub const CONSUMER_UNPARKED: &str = "tidings.consumer.unparked.events";
/// Counter, per [`DESTINATION`]: events that came again, as their streams' sequences show. Unit: events.
pub const CONSUMER_REPEATS: &str = "tidings.consumer.repeats.events";
/// Counter, per [`DESTINATION`]: events that are missing between two of their stream. Unit: events.
pub const CONSUMER_GAPS: &str = "tidings.consumer.gaps.events";
/// Counter, per [`DESTINATION`]: events that came behind later ones of their stream, for the first time. Unit: events.
pub const CONSUMER_OUT_OF_ORDER: &str = "tidings.consumer.out_of_order.events";
/// Counter, per [`DESTINATION`]: events that have the sequence of another one of their stream. Unit: events.
pub const CONSUMER_FORKS: &str = "tidings.consumer.forks.events";
/// Gauge: keys that are parked, in the partitions assigned. Unit: keys.
pub const CONSUMER_PARKED_KEYS: &str = "tidings.consumer.parked.keys";
/// Gauge: handlers that are paused because they fail whatever they are given. Unit: handlers.
pub const CONSUMER_BREAKERS_OPEN: &str = "tidings.consumer.open.breakers";
/// Counter: events nobody handles, filtered ones and tombstones. Unit: events.
pub const CONSUMER_SKIPPED: &str = "tidings.consumer.skipped.events";
/// Counter: events read again after a restart or a rebalance that were complete already. Unit: events.
pub const CONSUMER_COMPLETED_BEFORE: &str = "tidings.consumer.completed_before.events";
/// Counter: commits of offsets that failed; each is repeated. Unit: commits.
pub const CONSUMER_FAILED_COMMITS: &str = "tidings.consumer.failed.commits";
/// Gauge: how long commits of offsets have failed, one after the other; 0 while they are taken. Unit: seconds.
pub const CONSUMER_COMMITS_FAILING: &str = "tidings.consumer.commits_failing";
/// Gauge: 1 while the consumer's thread turns, else 0. Unit: none.
pub const CONSUMER_LIVE: &str = "tidings.consumer.live";
/// Gauge: 1 while the consumer has its partitions and gets on with them, else 0. Unit: none.
pub const CONSUMER_READY: &str = "tidings.consumer.ready";
/// Gauge: partitions assigned to this process. Unit: partitions.
pub const CONSUMER_ASSIGNED: &str = "tidings.consumer.assigned.partitions";
/// Gauge: handlers running as tasks. Unit: handlers.
pub const CONSUMER_IN_FLIGHT: &str = "tidings.consumer.in_flight.handlers";
/// Gauge: what is held of records. Unit: bytes.
pub const CONSUMER_BUFFERED: &str = "tidings.consumer.buffered";
/// Gauge: keys whose next event waits for a place. Unit: keys.
pub const CONSUMER_WAITING_KEYS: &str = "tidings.consumer.waiting.keys";
/// Gauge: keys whose next event failed and waits for its next attempt. Unit: keys.
pub const CONSUMER_RETRYING_KEYS: &str = "tidings.consumer.retrying.keys";
/// Gauge: completions that are overdue: handlers past their timeout and its grace. Unit: handlers.
pub const CONSUMER_STUCK: &str = "tidings.consumer.stuck.handlers";
/// Gauge: the part of the last minute's events that the hottest key has, from 0 to 1. Unit: none.
pub const CONSUMER_HOTTEST_KEY: &str = "tidings.consumer.hottest_key.share";
/// Gauge, per [`PARTITION`]: messages from the oldest one that is not done to the end; 0 where the partition is not assigned any more.
/// Unit: messages.
pub const CONSUMER_LAG_MESSAGES: &str = "tidings.consumer.lag.messages";
/// Gauge, per [`PARTITION`]: how old the oldest message is that is not done, by its timestamp; 0 where none is waiting. Unit: seconds.
pub const CONSUMER_LAG: &str = "tidings.consumer.lag";
/// Gauge, per [`PARTITION`]: how long the oldest message that is not done has been that; 0 where none is waiting. Unit: seconds.
pub const CONSUMER_UNMOVED: &str = "tidings.consumer.unmoved";
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
/// Counter: events that an event store has taken. Unit: events.
pub const STORE_APPENDED: &str = "tidings.store.appended.events";
/// Counter: appends and relayed events that an event store refused, with [`ERROR_TYPE`]. Unit: refusals.
pub const STORE_REFUSED: &str = "tidings.store.refusals";
/// Counter: requests that an event store refused because it had too much to do. Unit: requests.
pub const STORE_OVERLOADED: &str = "tidings.store.overloaded.requests";
/// Counter: transactions of an event store that were run again. Unit: attempts.
pub const STORE_RETRIES: &str = "tidings.store.transaction.retries";
/// Gauge: events that wait to be stored, or are being stored. Unit: events.
pub const STORE_QUEUED: &str = "tidings.store.queued.events";
/// Gauge: the last position that is known to this replica. Unit: none.
pub const STORE_POSITION: &str = "tidings.store.position";
/// Gauge: rows in the outbox; a backlog of more than a million counts as a million. Unit: events.
pub const OUTBOX_BACKLOG: &str = "tidings.outbox.backlog";
/// Gauge: the age of the oldest row in the outbox. Unit: seconds.
pub const OUTBOX_OLDEST_AGE: &str = "tidings.outbox.oldest.age";
/// Gauge: events that are parked in the outbox; more than 10,000 count as that many. Unit: events.
pub const OUTBOX_PARKED_BACKLOG: &str = "tidings.outbox.parked.backlog";
/// Gauge: how long the one that has been parked longest is; 0 where none is. Unit: seconds.
pub const OUTBOX_PARKED_OLDEST_AGE: &str = "tidings.outbox.parked.oldest.age";
/// Gauge, per [`BUCKET`] that a relay of this process owns: how many of the 100,000 oldest rows are in it. Unit: events.
pub const OUTBOX_BUCKET_ROWS: &str = "tidings.outbox.bucket.rows";
/// Gauge: how many topics take no events, as a relay of this process finds; their events wait. Unit: topics.
pub const OUTBOX_HELD_TOPICS: &str = "tidings.outbox.held.topics";
/// Gauge: how many of the 256 buckets no relay owns, as a relay of this process sees it. Unit: buckets.
pub const OUTBOX_BUCKETS_UNOWNED: &str = "tidings.outbox.buckets.unowned";
/// Gauge: how many of the 256 buckets a relay of this process owns. Unit: buckets.
pub const OUTBOX_BUCKETS_OWNED: &str = "tidings.outbox.buckets.owned";

/// Attribute: always [`KAFKA`].
pub const SYSTEM: &str = "messaging.system";
/// The value of [`SYSTEM`].
pub const KAFKA: &str = "kafka";
/// Attribute: the topic.
pub const DESTINATION: &str = "messaging.destination.name";
/// Attribute: the partition, as text.
pub const PARTITION: &str = "messaging.destination.partition.id";
/// Attribute: the bucket of an outbox, as text.
pub const BUCKET: &str = "tidings.bucket";
/// Attribute: the consumer group.
pub const CONSUMER_GROUP: &str = "messaging.consumer.group.name";
/// Attribute: `{Dispatcher}::{handler}`.
pub const HANDLER: &str = "tidings.handler";
/// Attribute: what is done, such as [`SEND`].
pub const OPERATION_NAME: &str = "messaging.operation.name";
/// Attribute: what kind of thing is done, such as [`SEND`].
pub const OPERATION_TYPE: &str = "messaging.operation.type";
/// The value of [`OPERATION_NAME`] and [`OPERATION_TYPE`] for a record that is written.
pub const SEND: &str = "send";
/// The value of [`OPERATION_NAME`] and [`OPERATION_TYPE`] for an event that is recorded, to be written later.
pub const CREATE: &str = "create";
/// The value of [`OPERATION_NAME`] for records that are fetched.
pub const POLL: &str = "poll";
/// The value of [`OPERATION_TYPE`] for records that are fetched.
pub const RECEIVE: &str = "receive";
/// The value of [`OPERATION_NAME`] and [`OPERATION_TYPE`] for an attempt of a handler.
pub const PROCESS: &str = "process";
/// The value of [`OPERATION_NAME`] for offsets that are committed.
pub const COMMIT: &str = "commit";
/// The value of [`OPERATION_TYPE`] for offsets that are committed.
pub const SETTLE: &str = "settle";
/// Attribute: a low-cardinality word for what failed.
pub const ERROR_TYPE: &str = "error.type";
