//! What keeps a consumer from starting, and what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings::consumer::{BuildError, Consumer, ConsumerOptions};
#[cfg(feature = "mysql")]
use tidings::dispatch::DeliveryOrder;
#[cfg(feature = "mysql")]
use tidings::prelude::*;
use tidings::transport::kafka::{KafkaOptions, TopicSpec};

use crate::kafka::guarded;
use crate::setting;
use crate::support::chain;
use crate::support::ledger::Ledger;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
#[cfg(feature = "mysql")]
use crate::support::scores::ScorePosted;
use crate::support::scores::{Scoreboard, post};
use crate::support::wait::until_true;

async fn refusal(options: ConsumerOptions, source: &str) -> String {
    let builder = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::default() }, |settings| settings.source(source));
    let error = builder.build().await.err().unwrap();
    assert!(matches!(error, BuildError::Topics { .. }), "{error:?}");
    chain(&error)
}

#[tokio::test]
async fn a_missing_topic_is_named_with_what_to_do() {
    let options = ConsumerOptions::new("boards").kafka(kafka());
    let text = refusal(options, "scores-that-nobody-publishes").await;
    let group = "cannot start the consumer group boards.Scoreboard: ";
    assert!(text.starts_with(group), "{text}");
    assert!(text.contains("scores-that-nobody-publishes") && text.contains("tidings topics ensure"), "{text}");
}

#[tokio::test]
async fn a_topic_with_another_number_of_partitions_than_declared_is_told_with_both_and_what_to_do() {
    let scene = Scene::new(3).await;
    let builder = |topic: TopicSpec| {
        Consumer::builder(scene.consumer())
            .codec(codec())
            .dispatch_with(Scoreboard { ledger: Arc::default() }, |settings| settings.source(scene.topic()))
            .topic(topic)
    };
    let error = builder(TopicSpec::new(scene.topic(), 12)).build().await.err().unwrap();
    let text = chain(&error);
    assert!(text.starts_with("cannot start the consumer group "), "{text}");
    assert!(text.contains("has 3 partitions where 12 are declared: declare 3, or delete the topic"), "{text}");
    assert!(builder(TopicSpec::new(scene.topic(), 3)).build().await.is_ok());
    let error = builder(TopicSpec::new("scoers", 3)).build().await.err().unwrap().to_string();
    assert!(error.contains("scoers is declared, but no dispatcher reads it"), "{error}");
}

#[tokio::test]
async fn a_missing_dead_letter_topic_is_named_where_it_is_not_to_be_created() {
    let scene = Scene::new(1).await;
    let text = refusal(scene.consumer().create_dead_letter_topic(false), &scene.topic()).await;
    assert!(text.contains(&format!("{}.dead-letters", scene.group("Scoreboard"))), "{text}");
}

#[tokio::test]
async fn no_broker_is_told_with_the_address_within_the_time_given() {
    let start = Instant::now();
    let options =
        ConsumerOptions::new("boards").kafka(KafkaOptions::new("127.0.0.1:1")).startup_timeout(Duration::from_secs(1));
    let text = refusal(options, "scores").await;
    assert!(text.contains("no Kafka broker at 127.0.0.1:1 answers"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_wrong_password_is_called_that_and_not_shown() {
    let text = refusal(ConsumerOptions::new("boards").kafka(guarded("wrong horse")), "scores").await;
    let brokers = setting("TIDINGS_TEST_SASL_BROKERS");
    assert!(text.contains(&format!("authentication failed at {brokers}")), "{text}");
    assert!(text.contains("check sasl.mechanism, sasl.username and sasl.password"), "{text}");
    assert!(!text.contains("wrong horse"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_right_password_events_are_handled() {
    let scene = Scene::new(1).await;
    post(&scene.publisher().await, 1, 1..=1).await;
    let ledger = Arc::<Ledger>::default();
    let options = scene.consumer().kafka(guarded(&setting("TIDINGS_TEST_SASL_PASSWORD")));
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    until_true("it is handled", || ledger.of("0") == [1]).await;
    running.stop().await;
}

/// Two handlers whose effects happen once.
#[cfg(feature = "mysql")]
struct Posted;

#[cfg(feature = "mysql")]
#[dispatcher(source = "scores")]
impl Posted {
    #[on("scores.ScorePosted", version = "1.*")]
    async fn on_posted(&self, _event: ScorePosted, _tx: Transaction) -> Result<()> {
        Ok(())
    }

    #[on("scores.ScorePosted", version = "2.*", order = "partition")]
    async fn on_posted_since(&self, _event: ScorePosted, _tx: Transaction) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
#[cfg(feature = "mysql")]
async fn transactions_of_events_that_do_not_wait_for_each_other_are_refused_before_they_lose_effects() {
    let refusal = async |order| {
        let builder = Consumer::builder(ConsumerOptions::new("boards").kafka(kafka())).codec(codec());
        let built = builder.dispatch_with(Posted, |settings| settings.order(order)).build().await;
        built.err().unwrap()
    };
    let error = refusal(DeliveryOrder::Unordered).await;
    assert!(matches!(error, BuildError::UnorderedTransaction { handler: "Posted::on_posted" }), "{error:?}");
    let error = refusal(DeliveryOrder::Key).await;
    let handlers = ("Posted::on_posted", "Posted::on_posted_since");
    assert!(
        matches!(error, BuildError::TransactionsOfTwoOrders { handler, other } if (handler, other) == handlers),
        "{error:?}"
    );
    let error = refusal(DeliveryOrder::Partition).await;
    assert!(matches!(error, BuildError::NoDatabase { .. }), "{error:?}");
}
