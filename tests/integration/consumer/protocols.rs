//! The ways in which groups share partitions: by the newer protocol (KIP-848), by classic assignors, with static members.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings::consumer::{BuildError, Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::publisher::Publisher;
use tidings::transport::kafka::KafkaOptions;
use tokio::task::JoinHandle;

use super::rebalance::{has, join, relieve};
use crate::journal::{Journal, JournalFile};
use crate::support::child::{Child, say, told};
use crate::support::groups::{behind, caught_up};
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard, post, posted};
use crate::support::wait::until_true;

const PLAYERS: i64 = 20;

/// The brokers coordinate the group (KIP-848).
fn newer() -> KafkaOptions {
    kafka().property("group.protocol", "consumer")
}

fn of_instance(kafka: KafkaOptions, instance: &str) -> KafkaOptions {
    kafka.property("group.instance.id", instance)
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

async fn scribe(options: ConsumerOptions, topic: &str, group: &str, journal: Journal) -> Consumer {
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

fn member(scene: &Scene, journal: &JournalFile, properties: &[(&str, &str)]) -> Child {
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

/// Watches how many partitions a member has, as often as it can.
struct Sampler {
    over: Arc<std::sync::atomic::AtomicBool>,
    seen: JoinHandle<BTreeSet<u64>>,
}

impl Sampler {
    fn of(member: &Running) -> Self {
        let (over, handle) = (Arc::<std::sync::atomic::AtomicBool>::default(), member.handle());
        let watched = Arc::clone(&over);
        let seen = tokio::task::spawn_blocking(move || {
            let mut seen = BTreeSet::new();
            while !watched.load(std::sync::atomic::Ordering::Acquire) {
                seen.insert(handle.stats().assigned);
                std::thread::sleep(Duration::from_micros(500));
            }
            seen
        });
        Self { over, seen }
    }

    /// All the numbers it had.
    async fn seen(self) -> Vec<u64> {
        self.over.store(true, std::sync::atomic::Ordering::Release);
        self.seen.await.unwrap().into_iter().collect()
    }
}

/// One of two members stops in order and starts again, while the other is watched: what the other had.
async fn restart_beside_another(kafka: impl Fn(&str) -> KafkaOptions) -> Vec<u64> {
    let scene = Scene::new(4).await;
    let (publisher, ledger) = (scene.publisher().await, Arc::<Ledger>::default());
    let stays = join(&scene, &ledger, &kafka("stays")).await;
    let restarts = join(&scene, &ledger, &kafka("restarts")).await;
    until_true("they share", || has(&stays, 2) && has(&restarts, 2)).await;
    handled_by_both(&publisher, &ledger, 1).await;

    let sampler = Sampler::of(&stays);
    restarts.stop().await;
    post(&publisher, PLAYERS, 2..=2).await;
    let again = join(&scene, &ledger, &kafka("restarts")).await;
    until_true("it has its partitions again", || has(&again, 2) && has(&stays, 2)).await;
    handled_by_both(&publisher, &ledger, 3).await;
    let seen = sampler.seen().await;

    caught_up(&scene, &scene.group("Scoreboard")).await;
    again.stop().await;
    stays.stop().await;
    assert_eq!(ledger.audit(&posted(PLAYERS, 3)), Audit::default());
    assert_eq!(behind(&scene, &scene.group("Scoreboard")).await, []);
    seen
}

async fn handled_by_both(publisher: &Publisher, ledger: &Ledger, serial: i64) {
    post(publisher, PLAYERS, serial..=serial).await;
    let all = usize::try_from(PLAYERS * serial).unwrap();
    until_true("both have handled their share", || ledger.distinct() == all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_restarts_gets_its_partitions_back_and_the_others_keep_theirs() {
    assert_eq!(restart_beside_another(|instance| of_instance(kafka(), instance)).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_newer_protocol_too_a_static_member_that_restarts_gets_its_partitions_back() {
    assert_eq!(restart_beside_another(|instance| of_instance(newer(), instance)).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_take_over_while_a_member_that_is_not_static_restarts() {
    // So that the two above mean something: what the sampler looks for, it sees.
    let seen = restart_beside_another(|_| kafka()).await;
    assert!(seen.len() > 1 && seen.contains(&4), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_is_killed_and_started_within_its_session_goes_on_where_it_was() {
    let scene = Scene::new(4).await;
    let (publisher, journal) = (scene.publisher().await, JournalFile::new());
    let group = scene.name("scribes");
    let options = scene.consumer().kafka(of_instance(kafka(), "stays"));
    let stays = scribe(options, &scene.topic(), &group, Journal::open(journal.path())).await;
    let stays = Running::start(stays);
    let killed = member(&scene, &journal, &[("group.instance.id", "killed")]);
    killed.expect("2 partitions");
    until_true("they share", || has(&stays, 2)).await;
    post(&publisher, PLAYERS, 1..=20).await;
    caught_up(&scene, &group).await;

    let (sampler, start) = (Sampler::of(&stays), Instant::now());
    killed.kill();
    post(&publisher, PLAYERS, 21..=40).await;
    let again = member(&scene, &journal, &[("group.instance.id", "killed")]);
    again.expect("2 partitions");
    caught_up(&scene, &group).await;
    let seen = sampler.seen().await;
    assert!(start.elapsed() < Duration::from_secs(45), "the session was over: {:?}", start.elapsed());
    again.terminate();
    assert!(again.ended().success());
    stays.stop().await;
    assert_eq!(seen, [2]);
    // It had committed everything when it was killed, so not even repeats.
    assert_eq!(journal.ledger().0.audit(&posted(PLAYERS, 40)), Audit::default());
}
