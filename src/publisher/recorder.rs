//! The seam to the modes that record an event before Kafka has it.

use std::fmt;

use futures_util::future::BoxFuture;

use super::ReadyEvent;

/// Records an event in a transaction of its own: what [`Publisher::publish`](super::Publisher::publish) does in a mode
/// that is not direct. The outbox is one.
pub trait Recorder: Send + Sync + fmt::Debug + 'static {
    /// Record `event`; resolves when it cannot be lost any more.
    fn record(&self, event: ReadyEvent) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>>;
}
