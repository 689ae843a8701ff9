//! The event store of the mode `store`: in this process, or one that runs already.

use std::sync::Arc;

use tempfile::TempDir;
use tidings::database::{Database, DatabaseOptions};
use tidings::outbox::{KafkaProducers, Relay, RelayHandle, RelayOptions};
use tidings::store::{DatabaseStore, EventStore, StoreClient, StoreClientOptions, StoreOptions, StoreProducers};

use crate::arguments::Arguments;
use crate::error::DemoError;
use crate::platform::Platform;

/// An event store, and what runs it where that is this process.
#[derive(Debug)]
pub struct Store {
    store: Arc<dyn EventStore>,
    here: Option<Here>,
}

/// A store in this process, on a database of its own.
#[derive(Debug)]
struct Here {
    store: DatabaseStore,
    /// Takes its events on to Kafka.
    forwarding: RelayHandle,
    /// Goes with it, and the database in it.
    _folder: TempDir,
}

impl Store {
    /// Open a store in this process, or reach the one that is named.
    pub async fn open(arguments: &Arguments, platform: &Platform) -> Result<Self, DemoError> {
        if let Some(url) = &arguments.store {
            // A token belongs into the environment: the list of processes shows arguments.
            let token = std::env::var("TIDINGS_STORE_TOKEN").unwrap_or_default();
            let client = StoreClient::new(StoreClientOptions::new(url.as_str()).token(token)).await?;
            return Ok(Self { store: Arc::new(client), here: None });
        }
        let folder = tempfile::Builder::new().prefix("tidings-demo-store-").tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("events.db").display());
        let database = Database::connect(DatabaseOptions::new(url).migrate(true)).await?;
        DatabaseStore::migrate(&database).await?;
        let store = DatabaseStore::open(&database, StoreOptions::default()).await?;
        let producers = KafkaProducers::new(platform.kafka.clone()).topic(platform.topic.name());
        let options = RelayOptions::default().check_durability(!platform.is_embedded());
        let forwarding = Relay::new(&database, producers).options(options).spawn();
        let here = Here { store: store.clone(), forwarding, _folder: folder };
        Ok(Self { store: Arc::new(store), here: Some(here) })
    }

    /// What takes a service's events there.
    pub fn producers(&self) -> StoreProducers {
        StoreProducers::new(Arc::clone(&self.store))
    }

    /// Let what is under way end.
    pub async fn close(self) -> Result<(), DemoError> {
        if let Some(Here { store, forwarding, _folder }) = self.here {
            forwarding.shutdown().await?;
            store.close().await;
        }
        Ok(())
    }
}
