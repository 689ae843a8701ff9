//! Relays that take some events to a store, and others to Kafka.

use std::sync::Arc;

use tidings::database::{Database, Error};
use tidings::outbox::{Relay, held_topics};
use tidings::publisher::DeliveryMode;
use tidings::store::{StoreClient, StoreOptions, StoreProducers, Tokens};
use tidings::transport::Producer;

use crate::scenarios::account::AccountRenamed;
use crate::scenarios::event_store::store;
use crate::scenarios::stage::{Stage, eventually};
use crate::service::Running;

async fn publish(database: &Database, ids: std::ops::Range<u32>) {
    for id in ids {
        let publish = database.transaction(async |tx| {
            tx.publish(&AccountRenamed::new(&id.to_string(), "Kim"));
            Ok::<_, Error>(())
        });
        publish.await.unwrap();
    }
}

#[tokio::test]
async fn a_relay_whose_store_takes_nothing_goes_on_with_what_goes_to_kafka() {
    let (stage, service) = (Stage::sqlite().await, Stage::sqlite().await);
    let tokens = Tokens::parse("a-token-that-is-long-enough right=append\n").unwrap();
    let running = Running::start(store(&stage, StoreOptions::default()).await, |options| options.tokens(tokens)).await;
    let producers = async |token: &str| {
        let client = StoreClient::new(running.options().token(token)).await.unwrap();
        let kafka = service.kafka.clone();
        StoreProducers::new(Arc::new(client)).and(move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) })
    };
    let (to_store, to_kafka) =
        (service.publishing(DeliveryMode::Store).await, service.publishing(DeliveryMode::Outbox).await);

    publish(&to_store, 0..50).await;
    let relay = Relay::new(&service.database, producers("a-token-that-was-taken-back").await).spawn();
    eventually("it is told of", async || held_topics(&service.database).await.unwrap().len() == 1).await;
    let held = held_topics(&service.database).await.unwrap();
    assert!(held[0].target == "store" && held[0].reason.contains("token"), "{held:?}");
    publish(&to_store, 50..100).await;
    publish(&to_kafka, 100..400).await;
    service.until_published(300).await;
    eventually("the others wait", async || service.outbox_rows().await == 100).await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (300, 0));

    let relay = Relay::new(&service.database, producers("a-token-that-is-long-enough").await).spawn();
    service.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (100, 0));
    running.stop().await;
}
