//! The event store: keeps events for ever, in the order of their streams, and forwards them to Kafka.
//!
//! In the [mode](crate::publisher::DeliveryMode) `store` a service's outbox goes to the store, and the store to Kafka. The store
//! takes event *n* of a stream only behind *n* − 1, so a relay that froze, or that runs twice, can neither repeat an event on the
//! topic nor reorder it. A service without a database of its own appends directly, with the version it expects the stream to
//! be at.
//!
//! [`DatabaseStore`] is the store itself, on MySQL, MariaDB or SQLite; [`StoreService`] offers it over gRPC; [`StoreClient`] uses it
//! from elsewhere. [`StoreProducers`] takes a relay's events there.
//!
//! An event's id is an idempotency key for ever: what is sent again with the same content gets the same answer.

mod append;
mod awaited;
mod client;
mod database_store;
mod epochs;
mod error;
mod event;
mod following;
mod lane;
mod offering;
mod options;
mod page_budget;
mod page_size;
mod passed;
mod producers;
mod reading;
mod recorder;
mod room;
mod rules;
mod sequencer;
mod service;
mod tables;
mod wire;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use uuid::Uuid;

pub use crate::event::StreamId;
pub use append::{Append, Appended, ExpectedVersion, Relayed};
pub use client::{StoreClient, StoreClientOptions};
pub use database_store::DatabaseStore;
pub use epochs::{EpochBegun, NewEpoch};
pub use error::{Refusal, StoreError};
pub use event::{NewEvent, Place, StoredEvent};
pub use options::StoreOptions;
pub use producers::StoreProducers;
pub use reading::{Direction, Notice, StreamQuery, Subscription};
pub use recorder::StoreRecorder;
pub use service::{ServiceOptions, StoreService, TlsFiles, Tokens};

/// An event store, here or elsewhere.
pub trait EventStore: Send + Sync + std::fmt::Debug + 'static {
    /// Append the events of `append` to their stream, all or none. Resolves when they are durable.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: the stream is not at the version expected, and the like. Where
    /// [`is_retryable`](StoreError::is_retryable), send the same again.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, StoreError>>;

    /// Take events that have their sequences from an outbox, each by itself, in this order. Resolves when those that are taken
    /// are durable.
    ///
    /// # Errors
    /// [`StoreError`]; some of the events may have been taken: send the same again.
    fn relay(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Relayed>, StoreError>>;

    /// Resolves when the event `id` is durable here; waits for it as long as it takes.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The events of a stream, without holes. Ends with the first error; go on from the last place.
    fn read(&self, query: StreamQuery) -> BoxStream<'static, Result<StoredEvent, StoreError>>;

    /// The events of all streams, in the order of their positions: without gaps, without repeats, and on into the future. Ends
    /// with the first error; go on from the last position.
    fn subscribe(&self, subscription: Subscription) -> BoxStream<'static, Result<Notice, StoreError>>;
}
