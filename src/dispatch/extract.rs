//! What a handler may take behind the payload.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use semver::Version;

use super::Delivery;
use crate::event::Stream;
use crate::outcome::{ErrorClass, HandlerError};
use crate::transport::Headers;

/// A value a handler can take behind its payload. Implement it for your own types.
///
/// ```
/// use tidings::dispatch::{Delivery, FromDelivery};
/// use tidings::HandlerError;
///
/// /// The tenant named in a header.
/// struct Tenant(String);
///
/// impl FromDelivery for Tenant {
///     async fn from_delivery(delivery: &Delivery) -> Result<Self, HandlerError> {
///         let tenant = delivery.record().headers.get_str("tenant");
///         Ok(Self(tenant.unwrap_or("default").to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a delivery",
    label = "a handler cannot take this behind its payload",
    note = "use `Message`, `Transaction`, `RecordHeaders`, `State<T>` or `Delivery`, or implement `tidings::dispatch::FromDelivery` for your type"
)]
pub trait FromDelivery: Sized + Send {
    /// Whether taking it opens the handler's `Transaction`. Default: `false`. Set it for a type of yours that takes one from the
    /// delivery: the consumer then keeps an inbox for the handlers that take your type.
    const USES_TRANSACTION: bool = false;

    /// Take the value.
    fn from_delivery(delivery: &Delivery) -> impl Future<Output = Result<Self, HandlerError>> + Send;
}

impl FromDelivery for Delivery {
    async fn from_delivery(delivery: &Delivery) -> Result<Self, HandlerError> {
        Ok(delivery.clone())
    }
}

/// The published message: the event's envelope and where it was read. Nothing is parsed before it is asked for.
#[derive(Debug, Clone)]
pub struct Message {
    delivery: Delivery,
}

impl Message {
    /// The event's id.
    pub fn id(&self) -> Option<&str> {
        self.delivery.envelope().id()
    }

    /// The publishing service's name.
    pub fn source(&self) -> Option<&str> {
        self.delivery.envelope().source()
    }

    /// The event's name.
    pub fn event(&self) -> Option<&str> {
        self.delivery.envelope().event()
    }

    /// The version the payload was written in.
    pub fn schema_version(&self) -> Option<Version> {
        self.delivery.envelope().schema_version()
    }

    /// When it happened.
    pub fn occurred_at(&self) -> Option<DateTime<Utc>> {
        self.delivery.envelope().time()
    }

    /// When it was recorded.
    pub fn recorded_at(&self) -> Option<DateTime<Utc>> {
        self.delivery.envelope().recorded_time()
    }

    /// The stream.
    pub fn stream(&self) -> Option<Stream> {
        self.delivery.envelope().stream()
    }

    /// The position in the stream, within its epoch; `None` for fire-and-forget events.
    pub fn sequence(&self) -> Option<u64> {
        self.delivery.envelope().sequence()
    }

    /// The stream's epoch.
    pub fn stream_epoch(&self) -> u32 {
        self.delivery.envelope().stream_epoch()
    }

    /// The key.
    pub fn key(&self) -> Option<&str> {
        let record_key = self.delivery.record().key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        self.delivery.envelope().key().or(record_key)
    }

    /// The id all events of one cause share.
    pub fn correlation_id(&self) -> Option<&str> {
        self.delivery.envelope().correlation_id()
    }

    /// The id of the event that caused this one.
    pub fn causation_id(&self) -> Option<&str> {
        self.delivery.envelope().causation_id()
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.delivery.record().topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.delivery.record().partition
    }

    /// The offset.
    pub fn offset(&self) -> i64 {
        self.delivery.record().offset
    }

    /// The record's own timestamp, in milliseconds since 1970, where it has one.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.delivery.record().timestamp_ms
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt()
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.delivery.record().headers
    }
}

impl FromDelivery for Message {
    async fn from_delivery(delivery: &Delivery) -> Result<Self, HandlerError> {
        Ok(Self { delivery: delivery.clone() })
    }
}

/// All headers of the record, as they were read.
#[derive(Debug, Clone)]
pub struct RecordHeaders(pub Headers);

impl FromDelivery for RecordHeaders {
    async fn from_delivery(delivery: &Delivery) -> Result<Self, HandlerError> {
        Ok(Self(delivery.record().headers.clone()))
    }
}

/// Shared state given to the consumer's builder.
#[derive(Debug)]
pub struct State<T>(pub Arc<T>);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The handler asks for state that the consumer was not given. A mistake of the program's, not of the event's: nothing is given
/// up for it.
#[derive(Debug, thiserror::Error)]
#[error("no state of type `{0}`: give it to the consumer's builder with `.state(…)`")]
struct MissingState(&'static str);

impl<T: Send + Sync + 'static> FromDelivery for State<T> {
    async fn from_delivery(delivery: &Delivery) -> Result<Self, HandlerError> {
        let missing = || HandlerError::new(ErrorClass::Unavailable, MissingState(std::any::type_name::<T>()));
        delivery.extension().map(Self).ok_or_else(missing)
    }
}
