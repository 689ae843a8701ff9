//! What a publisher gives for an event.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::{PublishError, StoredEvents};
use crate::telemetry::spans;
use crate::transport::{ProduceError, Written};

/// An event was taken, as safely as its way promises.
#[derive(Debug, Clone)]
pub struct Receipt {
    id: Uuid,
    written: Option<Written>,
    /// Who knows whether the event store has it.
    store: Option<Arc<dyn StoredEvents>>,
}

impl Receipt {
    pub(crate) const fn new(id: Uuid, written: Option<Written>) -> Self {
        Self { id, written, store: None }
    }

    pub(crate) const fn recorded(id: Uuid, store: Option<Arc<dyn StoredEvents>>) -> Self {
        Self { id, written: None, store }
    }

    /// The event's id.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Wait until the event is durable in the event store: from then on nothing that becomes of this service's database takes
    /// it away. Waits as long as it takes; wrap it in a timeout.
    ///
    /// # Errors
    /// [`PublishError::NoStore`]: the publisher was built without one; [`PublishError::NotStored`]: the store cannot be asked.
    pub async fn stored(&self) -> Result<(), PublishError> {
        let store = self.store.as_ref().ok_or(PublishError::NoStore)?;
        store.stored(self.id).await.map_err(PublishError::NotStored)
    }

    /// The partition; `None` while an outbox has yet to write it.
    pub fn partition(&self) -> Option<i32> {
        self.written.map(|written| written.partition)
    }

    /// The offset; `None` where nobody acknowledges it (acks from none, or an outbox that has yet to write it).
    pub fn offset(&self) -> Option<i64> {
        self.written.and_then(|written| written.offset)
    }
}

/// The receipt of an event that is under way: await it. Dropping it lets the event go on; should it fail, the publisher
/// counts and reports it all the same.
#[must_use = "the event is under way, but only awaiting tells whether it arrived"]
pub struct PendingReceipt {
    pub(super) id: Uuid,
    pub(super) event: &'static str,
    pub(super) started: Instant,
    pub(super) duration: metrics::Histogram,
    pub(super) span: Span,
    pub(super) written: BoxFuture<'static, Result<Written, ProduceError>>,
}

impl PendingReceipt {
    /// The event's id.
    pub const fn id(&self) -> Uuid {
        self.id
    }
}

impl Future for PendingReceipt {
    type Output = Result<Receipt, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.written.poll_unpin(context));
        self.duration.record(self.started.elapsed());
        let (event, id) = (self.event, self.id);
        match &result {
            Ok(written) => spans::written(&self.span, written.partition),
            Err(error) => spans::fail(&self.span, error.kind()),
        }
        Poll::Ready(match result {
            Ok(written) => Ok(Receipt::new(id, Some(written))),
            Err(source) => Err(PublishError::NotWritten { event, id, source }),
        })
    }
}

impl fmt::Debug for PendingReceipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PendingReceipt")
            .field("id", &self.id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
