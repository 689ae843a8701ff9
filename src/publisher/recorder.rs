//! The seam to the modes that record an event before Kafka has it.

use std::fmt;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{ReadyEvent, Target};

/// Records an event in a transaction of its own: what [`Publisher::publish`](super::Publisher::publish) does in a mode
/// that is not direct. The outbox is one, and so is a client of the event store.
pub trait Recorder: Send + Sync + fmt::Debug + 'static {
    /// Record `event`, which is to go to `target`; resolves when it cannot be lost any more.
    fn record(
        &self,
        event: ReadyEvent,
        target: Target,
    ) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>>;
}

/// Knows when an event is durable in the event store: the store itself, or a client of it.
pub trait StoredEvents: Send + Sync + fmt::Debug + 'static {
    /// Resolves when the store has the event `id`; waits as long as it takes.
    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>>;
}
