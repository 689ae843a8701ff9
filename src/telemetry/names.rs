//! Names after OpenTelemetry's messaging conventions; what they do not know is under `tidings.`.

/// Counter: records a producer tried to send, with [`ERROR_TYPE`] where one failed. Unit: messages.
pub const SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// Histogram: from taking a record to its acknowledgement, where someone awaits it. Unit: seconds.
pub const OPERATION_DURATION: &str = "messaging.client.operation.duration";
/// Counter: events that were to be published and were not, with [`ERROR_TYPE`]. Unit: events.
pub const DROPPED_EVENTS: &str = "tidings.publisher.dropped.events";

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
