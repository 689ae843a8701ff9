//! The ways in which groups share partitions: by the newer protocol (KIP-848), and by classic assignors.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::{BuildError, Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::transport::kafka::KafkaOptions;

use super::rebalance::relieve;
use crate::journal::{Journal, JournalFile};
use crate::support::child::{Child, say, told};
use crate::support::groups::caught_up;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard, post, posted};
use crate::support::wait::until_true;

pub(super) const PLAYERS: i64 = 20;

/// The brokers coordinate the group (KIP-848).
pub(super) fn newer() -> KafkaOptions {
    kafka().property("group.protocol", "consumer")
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_newer_protocol_members_that_come_and_go_lose_repeat_and_reorder_nothing() {
    relieve(1, newer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_an_eager_assignor_members_that_come_and_go_lose_repeat_and_reorder_nothing() {
    relieve(1, kafka().property("partition.assignment.strategy", "range")).await;
}

#[tokio::test]
async fn timeouts_of_the_classic_protocol_are_refused_with_what_to_do() {
    for (property, value, advice) in [
        ("session.timeout.ms", "6000", "the brokers set it (group.consumer.session.timeout.ms)"),
        ("heartbeat.interval.ms", "500", "the brokers set it (group.consumer.heartbeat.interval.ms)"),
        ("partition.assignment.strategy", "range", "group.remote.assignor"),
    ] {
        // Written as the client takes it, too.
        let kafka = kafka().property("group.protocol", "Consumer").property(property, value);
        let built = Consumer::builder(ConsumerOptions::new("boards").kafka(kafka))
            .dispatch(Scoreboard { ledger: Arc::default() })
            .build()
            .await;
        let error = built.err().unwrap();
        assert!(matches!(error, BuildError::ClassicProperty { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(property) && text.contains(advice), "{text}");
    }
}

/// Writes each score down once it is handled, where other processes do too.
struct Scribe(Arc<Journal>);

#[dispatcher(source = "scores")]
impl Scribe {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        tokio::task::yield_now().await;
        self.0.note(event.player, event.serial);
        Ok(())
    }
}

pub(super) async fn scribe(options: ConsumerOptions, topic: &str, group: &str, journal: Journal) -> Consumer {
    let settings = |settings: tidings::consumer::DispatchSettings| settings.source(topic).group(group);
    let builder = Consumer::builder(options).codec(codec()).dispatch_with(Scribe(Arc::new(journal)), settings);
    builder.build().await.unwrap()
}

/// The child's part: a member, until it is ended.
pub(crate) async fn take_part() {
    let properties: Vec<(String, String)> = serde_json::from_str(&told("PROPERTIES")).unwrap();
    let kafka = properties.into_iter().fold(kafka(), |kafka, (name, value)| kafka.property(name, value));
    let options = ConsumerOptions::new(told("SERVICE")).kafka(kafka).commit_interval(Duration::from_millis(50));
    let consumer = scribe(options, &told("TOPIC"), &told("GROUP"), Journal::open(told("JOURNAL"))).await;
    let handle = consumer.handle();
    tokio::spawn(async move {
        let mut before = 0;
        loop {
            let assigned = handle.stats().assigned;
            if assigned != before {
                say(&format!("{assigned} partitions"));
                before = assigned;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    consumer.run().await.unwrap();
}

pub(super) fn member(scene: &Scene, journal: &JournalFile, properties: &[(&str, &str)]) -> Child {
    let properties = serde_json::to_string(properties).unwrap();
    let path = journal.path();
    let settings = [
        ("PROPERTIES", properties.as_str()),
        ("SERVICE", &scene.name("boards")),
        ("TOPIC", &scene.topic()),
        ("GROUP", &scene.name("scribes")),
        ("JOURNAL", path.to_str().unwrap()),
    ];
    Child::start("member", &settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_newer_protocol_the_work_of_a_member_that_is_killed_is_taken_over() {
    let scene = Scene::new(4).await;
    let (publisher, journal) = (scene.publisher().await, JournalFile::new());
    let killed = member(&scene, &journal, &[("group.protocol", "consumer")]);
    killed.expect("4 partitions");
    post(&publisher, PLAYERS, 1..=50).await;
    until_true("it is at work", || journal.ledger().1 > 100).await;
    killed.kill();
    post(&publisher, PLAYERS, 51..=60).await;
    // The brokers let it have everything once the other's session is over.
    let options = scene.consumer().kafka(newer());
    let group = scene.name("scribes");
    let heir = scribe(options, &scene.topic(), &group, Journal::open(journal.path())).await;
    let heir = Running::start(heir);
    caught_up(&scene, &group).await;
    heir.stop().await;
    let audit = journal.ledger().0.audit(&posted(PLAYERS, 60));
    // What ran, and what was done since its last commit.
    assert_eq!((audit.lost, audit.out_of_order, audit.invented), (0, 0, 0), "{audit:?}");
}
