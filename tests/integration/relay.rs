//! From a transaction on MySQL through the relay to a real broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tidings::database::{Database, Error};
use tidings::outbox::{KafkaProducers, ProducerFactory, Relay, held_topics, parked};
use tidings::publisher::{Acks, DeliveryMode, Publisher, PublisherOptions};
use tidings::transport::Producer;
use tidings::transport::kafka::{TopicSpec, topics};

use crate::kafka::{LONG, fresh, fresh_topic, kafka};
use crate::reader::read;
use crate::scenarios::account::AccountRenamed;
use crate::scenarios::stage::{Stage, eventually};
use crate::setting;

async fn publisher(service: &str, mode: DeliveryMode) -> Publisher {
    let options = PublisherOptions::new(service).kafka(kafka()).mode(mode).check_topic(false);
    Publisher::builder(options.connect_deadline(LONG)).build().await.unwrap()
}

/// One that has asked how much its topic takes.
async fn publisher_that_knows(service: &str, mode: DeliveryMode) -> Publisher {
    let options = PublisherOptions::new(service).kafka(kafka()).mode(mode);
    Publisher::builder(options.connect_deadline(LONG)).build().await.unwrap()
}

async fn publish(database: &Database, id: &str, nickname: &str) {
    let publish = database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new(id, nickname));
        Ok::<_, Error>(())
    });
    publish.await.unwrap();
}

#[tokio::test]
async fn a_committed_event_reaches_the_broker_as_a_direct_one_does() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let service = fresh_topic("accounts", 3).await;
    let direct = publisher(&service, DeliveryMode::Direct { acks: Acks::All }).await;
    let recorded = publisher(&service, DeliveryMode::Outbox).await;
    publish(&stage.database.clone().with_publisher(&direct), "7", "Kim").await;
    let database = stage.database.clone().with_publisher(&recorded);
    let relay = Relay::new(&database, KafkaProducers::of(&recorded)).spawn();
    for event in 0..50 {
        publish(&database, "8", &event.to_string()).await;
    }
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.restarts), (50, 0));

    let seen = tokio::task::spawn_blocking(move || read(&setting("TIDINGS_TEST_BROKERS"), &service, 3, 51));
    let mut seen = seen.await.unwrap();
    seen.sort_by_key(|record| (record.key.clone(), record.offset));
    let names = |record: &crate::reader::Seen| -> Vec<String> {
        record.headers.iter().map(|(name, _)| name.clone()).filter(|name| name != "ce_sequence").collect()
    };
    assert_eq!(names(&seen[0]), names(&seen[1]));
    assert!(!seen[0].text_headers().contains_key("ce_sequence"));
    for (index, record) in seen[1..].iter().enumerate() {
        assert_eq!(record.text_headers()["ce_sequence"], format!("{:020}", index + 1));
        assert_eq!(record.key.as_deref(), Some(&b"8"[..]));
    }
    stage.clear().await;
}

#[tokio::test]
async fn a_record_that_the_broker_refuses_is_parked_with_its_stream_and_its_company_is_not() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let service = fresh("accounts");
    let topic = TopicSpec::new(&service, 1);
    topics::ensure(&kafka(), std::slice::from_ref(&topic), LONG).await.unwrap();
    let recorded = publisher(&service, DeliveryMode::Outbox).await;
    let database = stage.database.clone().with_publisher(&recorded);
    for round in 0..10 {
        for id in ["1", "2", "3"] {
            let size = if (round, id) == (4, "2") { 9_000 } else { 10 };
            publish(&database, id, &"x".repeat(size)).await;
        }
    }
    // The topic takes less by now than it did when the events were committed.
    shrink(&service).await;
    // Producers that do not know: the broker refuses their batches as a whole.
    let relay = Relay::new(&database, KafkaProducers::new(kafka())).spawn();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    // It, and what came behind it in its stream.
    assert_eq!(summary.parked, 6, "{summary:?}");
    let parked = parked(&database, None, 10).await.unwrap();
    assert_eq!((parked[0].stream.stream.as_str(), parked[0].sequence), ("Account/2", 5), "{parked:?}");

    let seen =
        tokio::task::spawn_blocking(move || read(&setting("TIDINGS_TEST_BROKERS"), &service, 1, 24)).await.unwrap();
    for (id, count) in [("1", 10), ("2", 4), ("3", 10)] {
        let of_stream: Vec<_> = seen.iter().filter(|record| record.key.as_deref() == Some(id.as_bytes())).collect();
        let sequences: Vec<_> =
            of_stream.iter().map(|record| record.text_headers()["ce_sequence"].to_owned()).collect();
        assert!(sequences.len() == count && sequences.is_sorted(), "{id}: {sequences:?}");
    }
    stage.clear().await;
}

#[tokio::test]
async fn a_relay_that_was_told_of_no_topic_publishes_what_each_topic_takes() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let (large, small) = (fresh("accounts"), fresh("players"));
    for (topic, limit) in [(&large, "3000000"), (&small, "5000")] {
        let topic = TopicSpec::new(topic, 1).config("max.message.bytes", limit);
        topics::ensure(&kafka(), &[topic], LONG).await.unwrap();
    }
    let of = async |service: &str| {
        stage.database.clone().with_publisher(&publisher_that_knows(service, DeliveryMode::Outbox).await)
    };
    let (to_large, to_small) = (of(&large).await, of(&small).await);
    for bytes in [1_040_000, 2_900_000] {
        publish(&to_large, "7", &"x".repeat(bytes)).await;
    }
    // Together they are more than that topic takes at once.
    for event in 0..400 {
        publish(&to_small, &(event % 10).to_string(), &"x".repeat(1_000)).await;
    }
    let relay = Relay::new(&stage.database, KafkaProducers::new(kafka())).spawn();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (402, 0));
    // It learns, and goes on with batches that fit.
    assert!((1..=2).contains(&summary.restarts), "{summary:?}");
    stage.clear().await;
}

#[tokio::test]
async fn an_event_too_large_for_its_topic_takes_none_of_its_company_with_it() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let service = fresh("accounts");
    topics::ensure(&kafka(), &[TopicSpec::new(&service, 1)], LONG).await.unwrap();
    let recorded = publisher(&service, DeliveryMode::Outbox).await;
    let database = stage.database.clone().with_publisher(&recorded);
    for event in 0..300 {
        let size = if event == 20 { 9_000 } else { 10 };
        publish(&database, &event.to_string(), &"x".repeat(size)).await;
    }
    shrink(&service).await;
    let relay = Relay::new(&stage.database, KafkaProducers::of(&recorded)).spawn();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (299, 1));
    stage.clear().await;
}

#[tokio::test]
async fn an_event_whose_time_the_broker_does_not_take_is_parked_and_its_company_is_not() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let service = fresh("accounts");
    let topic = TopicSpec::new(&service, 1).config("message.timestamp.before.max.ms", "600000");
    topics::ensure(&kafka(), &[topic], LONG).await.unwrap();
    let recorded = publisher(&service, DeliveryMode::Outbox).await;
    let database = stage.database.clone().with_publisher(&recorded);
    for event in 0..40 {
        publish(&database, &(event % 20).to_string(), &event.to_string()).await;
    }
    stage.execute("UPDATE tidings_outbox SET occurred_at = '2020-01-01T00:00:00Z' WHERE stream = 'Account/7'").await;
    let relay = Relay::new(&database, KafkaProducers::of(&recorded)).spawn();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (38, 2));
    let parked = parked(&database, None, 10).await.unwrap();
    assert!(parked[0].reason.contains("timestamp"), "{parked:?}");
    stage.clear().await;
}

async fn shrink(topic: &str) {
    use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
    let mut config = rdkafka::ClientConfig::new();
    let admin: AdminClient<_> = config.set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", "5000");
    let changed = admin.alter_configs([&change], &AdminOptions::new()).await.unwrap();
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_waited_for_and_holds_up_no_other() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let service = fresh("accounts");
    let recorded = publisher(&service, DeliveryMode::Outbox).await;
    let database = stage.database.clone().with_publisher(&recorded);
    for event in 0..5 {
        publish(&database, "7", &event.to_string()).await;
    }
    let producers = Counted { producers: KafkaProducers::of(&recorded), made: Arc::default() };
    let made = Arc::clone(&producers.made);
    let relay = Relay::new(&database, producers).spawn();
    // The client gives up on a topic after some seconds.
    eventually("it is held back", async || !held_topics(&database).await.unwrap().is_empty()).await;
    // What goes elsewhere does not wait.
    let other = fresh_topic("players", 1).await;
    let others = stage.database.clone().with_publisher(&publisher(&other, DeliveryMode::Outbox).await);
    for event in 0..5 {
        publish(&others, "8", &event.to_string()).await;
    }
    eventually("the others are published", async || stage.outbox_rows().await == 5).await;
    assert_eq!(made.load(Ordering::Acquire), 1);
    topics::ensure(&kafka(), &[TopicSpec::new(&service, 1)], LONG).await.unwrap();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked, summary.restarts), (10, 0, 0));
    let reading = || read(&setting("TIDINGS_TEST_BROKERS"), &service, 1, 5);
    let seen = tokio::task::block_in_place(reading);
    let sequences: Vec<_> = seen.iter().map(|record| record.text_headers()["ce_sequence"].to_owned()).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    stage.clear().await;
}

/// Counts the producers it makes: the first, and one more each time the relay begins again.
struct Counted {
    producers: KafkaProducers,
    made: Arc<AtomicUsize>,
}

impl ProducerFactory for Counted {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        self.made.fetch_add(1, Ordering::AcqRel);
        self.producers.make()
    }

    fn prepare(&self) -> BoxFuture<'_, Vec<String>> {
        self.producers.prepare()
    }
}
