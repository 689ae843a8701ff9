//! What can be seen of publishing: on a database and a producer in memory.
#![cfg(feature = "sqlite")]

#[cfg(feature = "http")]
mod metrics;
mod spans;

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Event;
use crate::database::{Database, DatabaseOptions, Error};
use crate::outbox::{Relay, RelayHandle, RelayOptions};
use crate::publisher::{DeliveryMode, Publisher, PublisherOptions};
use crate::transport::memory::MemoryProducer;
use crate::transport::{Acks, Producer};

#[derive(Serialize, Deserialize)]
struct Renamed {
    user_id: String,
}

impl Event for Renamed {
    const NAME: &'static str = "accounts.Renamed";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str =
        r#"{"type": "record", "name": "Renamed", "fields": [{"name": "user_id", "type": "string"}]}"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.user_id)
    }
}

fn renamed() -> Renamed {
    Renamed { user_id: "42".to_owned() }
}

const DIRECT: DeliveryMode = DeliveryMode::Direct { acks: Acks::All };

async fn publisher(kafka: &MemoryProducer, mode: DeliveryMode) -> Publisher {
    let options = PublisherOptions::new("accounts").mode(mode);
    Publisher::builder(options).producer(Arc::new(kafka.clone())).build().await.unwrap()
}

async fn database(kafka: &MemoryProducer) -> Database {
    let options = DatabaseOptions::new("sqlite::memory:").migrate(true);
    Database::connect(options).await.unwrap().with_publisher(&publisher(kafka, DeliveryMode::Outbox).await)
}

async fn publish(database: &Database) {
    publish_of(database, "42").await;
}

async fn publish_of(database: &Database, user_id: &str) {
    let published = database.transaction(async |tx| {
        tx.publish(&Renamed { user_id: user_id.to_owned() });
        Ok::<_, Error>(())
    });
    published.await.unwrap();
}

fn relay(database: &Database, kafka: &MemoryProducer) -> RelayHandle {
    let kafka = kafka.clone();
    let producers = move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) };
    let options = RelayOptions::default().report_interval(Duration::from_millis(5));
    Relay::new(database, producers).options(options).spawn()
}

/// Wait for a condition; a test that waits in vain fails after a minute.
async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), wait).await;
    waited.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
