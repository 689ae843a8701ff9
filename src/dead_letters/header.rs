//! Names of the headers a dead letter carries beside the record's own, ours and those of others.

/// The topic the record was read from. This and the next five are those of KIP-1191.
pub const TOPIC: &str = "__dlq.errors.topic";
/// The partition it was read from.
pub const PARTITION: &str = "__dlq.errors.partition";
/// Its offset there.
pub const OFFSET: &str = "__dlq.errors.offset";
/// The consumer group that gave it up.
pub const GROUP: &str = "__dlq.errors.group";
/// How often it was delivered.
pub const DELIVERY_COUNT: &str = "__dlq.errors.delivery.count";
/// The error's text.
pub const MESSAGE: &str = "__dlq.errors.message";
/// The handler that failed; absent when the record reached none.
pub const HANDLER: &str = "__dlq.tidings.handler";
/// The error's class: `terminal`, `undecodable`, `panic`, `timeout` or `retryable`.
pub const CLASS: &str = "__dlq.tidings.error.class";
/// The error and its causes.
pub const CHAIN: &str = "__dlq.tidings.error.chain";
/// Attempts made.
pub const ATTEMPTS: &str = "__dlq.tidings.attempts";
/// The record's own timestamp, in milliseconds since 1970; the letter's is when it was written.
pub const TIMESTAMP: &str = "__dlq.tidings.timestamp";
/// When it first failed, RFC 3339.
pub const FIRST_FAILURE: &str = "__dlq.tidings.first.failure";
/// When it was given up, RFC 3339.
pub const GIVEN_UP: &str = "__dlq.tidings.given.up";

/// On a record that was redriven, and on a letter it became again: how often that was.
pub const REDRIVES: &str = "__dlq.tidings.redrives";
/// On a record that was redriven: the only consumer group that is to handle it. Other groups of tidings skip it.
pub const REDRIVE_GROUP: &str = "__dlq.tidings.redrive.group";

/// What all names above begin with.
pub const PREFIX: &str = "__dlq.";

/// What Spring for Apache Kafka writes. Its numbers are big-endian bytes; some of its users write them as text.
///
/// Each thing has two names: the first is that of its dead-letter recoverer, the second that of its retry topics.
pub mod spring {
    /// What the names of its dead-letter recoverer begin with.
    pub const PREFIX: &str = "kafka_dlt-";
    /// What its other names begin with that a failed record carries, those for its retry topics among them.
    pub const OTHER_PREFIXES: [&str; 5] =
        ["kafka_original-", "kafka_exception-", "kafka_key-exception-", "retry_topic-", "springDeserializerException"];
    /// The topic the record was read from.
    pub const TOPIC: [&str; 2] = ["kafka_dlt-original-topic", "kafka_original-topic"];
    /// The partition it was read from, four bytes.
    pub const PARTITION: [&str; 2] = ["kafka_dlt-original-partition", "kafka_original-partition"];
    /// Its offset there, eight bytes.
    pub const OFFSET: [&str; 2] = ["kafka_dlt-original-offset", "kafka_original-offset"];
    /// The record's own timestamp in milliseconds since 1970, eight bytes.
    pub const TIMESTAMP: [&str; 2] = ["kafka_dlt-original-timestamp", "kafka_original-timestamp"];
    /// The consumer group that gave it up.
    pub const GROUP: [&str; 2] = ["kafka_dlt-original-consumer-group", "kafka_original-consumer-group"];
    /// The class of the exception. It is Spring's own most of the time, and the user's is its cause.
    pub const EXCEPTION: [&str; 2] = ["kafka_dlt-exception-fqcn", "kafka_exception-fqcn"];
    /// The class of its cause.
    pub const CAUSE: [&str; 2] = ["kafka_dlt-exception-cause-fqcn", "kafka_exception-cause-fqcn"];
    /// Its message.
    pub const MESSAGE: [&str; 2] = ["kafka_dlt-exception-message", "kafka_exception-message"];
    /// Its stack trace.
    pub const STACK_TRACE: [&str; 2] = ["kafka_dlt-exception-stacktrace", "kafka_exception-stacktrace"];
    /// The class of the exception where the key could not be read.
    pub const KEY_EXCEPTION: [&str; 2] = ["kafka_dlt-key-exception-fqcn", "kafka_key-exception-fqcn"];
    /// Its message.
    pub const KEY_MESSAGE: [&str; 2] = ["kafka_dlt-key-exception-message", "kafka_key-exception-message"];
    /// Its stack trace.
    pub const KEY_STACK_TRACE: [&str; 2] = ["kafka_dlt-key-exception-stacktrace", "kafka_key-exception-stacktrace"];
    /// Attempts made, one or four bytes.
    pub const ATTEMPTS: [&str; 1] = ["retry_topic-attempts"];
}
