//! The store as what a publisher records its events in: for services without a database of their own.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Append, DatabaseStore, EventStore, ExpectedVersion, StoreClient};
use crate::publisher::{ReadyEvent, Recorder, StoredEvents, Target};

/// [`Publisher::publish`](crate::publisher::Publisher::publish) in the mode `store` for a service without an outbox: each event is
/// appended to the store, wherever its stream is, and published once it is durable there.
///
/// ```no_run
/// # async fn example(options: tidings::publisher::PublisherOptions) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use tidings::publisher::{DeliveryMode, Publisher};
/// use tidings::store::{StoreClient, StoreClientOptions, StoreRecorder};
///
/// let store = StoreClient::new(StoreClientOptions::new("https://store.example:7433")).await?;
/// let recorder = StoreRecorder::new(Arc::new(store));
/// let publisher = Publisher::builder(options.mode(DeliveryMode::Store)).recorder(Arc::new(recorder)).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StoreRecorder {
    store: Arc<dyn EventStore>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl StoreRecorder {
    /// Record in `store`.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }
}

impl Recorder for StoreRecorder {
    fn record(&self, event: ReadyEvent, target: Target) -> BoxFuture<'_, Result<(), BoxError>> {
        async move {
            if target != Target::Store {
                return Err(BoxError::from("the delivery mode is not `store`, and this records in a store only"));
            }
            self.store.append(Append::new([event], ExpectedVersion::Any)).await?;
            Ok(())
        }
        .boxed()
    }
}

impl StoredEvents for StoreRecorder {
    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), BoxError>> {
        async move { Ok(self.store.stored(id).await?) }.boxed()
    }
}

impl StoredEvents for StoreClient {
    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), BoxError>> {
        async move { Ok(EventStore::stored(self, id).await?) }.boxed()
    }
}

impl StoredEvents for DatabaseStore {
    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), BoxError>> {
        async move { Ok(EventStore::stored(self, id).await?) }.boxed()
    }
}
