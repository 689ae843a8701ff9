//! Static members (`group.instance.id`): they come back to their partitions, and the others keep theirs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidings::publisher::Publisher;
use tidings::transport::kafka::KafkaOptions;
use tokio::task::JoinHandle;

use super::protocols::{PLAYERS, member, newer, scribe};
use super::rebalance::{has, join};
use crate::journal::{Journal, JournalFile};
use crate::support::chain;
use crate::support::groups::{behind, caught_up};
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, kafka};
use crate::support::scores::{post, posted};
use crate::support::wait::{until, until_true};

fn of_instance(kafka: KafkaOptions, instance: &str) -> KafkaOptions {
    kafka.property("group.instance.id", instance)
}

/// Watches how many partitions a member has, as often as it can.
struct Sampler {
    over: Arc<AtomicBool>,
    seen: JoinHandle<BTreeSet<u64>>,
}

impl Sampler {
    fn of(member: &Running) -> Self {
        let (over, handle) = (Arc::<AtomicBool>::default(), member.handle());
        let watched = Arc::clone(&over);
        let seen = tokio::task::spawn_blocking(move || {
            let mut seen = BTreeSet::new();
            while !watched.load(Ordering::Acquire) {
                seen.insert(handle.stats().assigned);
                std::thread::sleep(Duration::from_micros(500));
            }
            seen
        });
        Self { over, seen }
    }

    /// All the numbers it had.
    async fn seen(self) -> Vec<u64> {
        self.over.store(true, Ordering::Release);
        self.seen.await.unwrap().into_iter().collect()
    }
}

/// One of two members stops in order and starts again, while the other is watched: what the other had. `away` goes on for as
/// long as the one is away.
async fn restart_beside_another(kafka: impl Fn(&str) -> KafkaOptions, away: impl AsyncFnOnce(&Running)) -> Vec<u64> {
    let scene = Scene::new(4).await;
    let (publisher, ledger) = (scene.publisher().await, Arc::<Ledger>::default());
    let stays = join(&scene, &ledger, &kafka("stays")).await;
    let restarts = join(&scene, &ledger, &kafka("restarts")).await;
    until_true("they share", || has(&stays, 2) && has(&restarts, 2)).await;
    handled_by_both(&publisher, &ledger, 1).await;

    let sampler = Sampler::of(&stays);
    restarts.stop().await;
    post(&publisher, PLAYERS, 2..=2).await;
    away(&stays).await;
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

/// With many heartbeats a second: who stays is told of a rebalance, if there is one.
fn attentive() -> KafkaOptions {
    kafka().property("heartbeat.interval.ms", "100")
}

/// Several heartbeats, in which nothing is to happen.
async fn some_heartbeats(_: &Running) {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_restarts_gets_its_partitions_back_and_the_others_keep_theirs() {
    let seen = restart_beside_another(|instance| of_instance(attentive(), instance), some_heartbeats).await;
    assert_eq!(seen, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_newer_protocol_too_a_static_member_that_restarts_gets_its_partitions_back() {
    let seen = restart_beside_another(|instance| of_instance(newer(), instance), some_heartbeats).await;
    assert_eq!(seen, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_take_over_while_a_member_that_is_not_static_restarts() {
    // So that the two above mean something: what they do not see, this one does.
    let taken_over = async |stays: &Running| until_true("it has everything", || has(stays, 4)).await;
    let seen = restart_beside_another(|_| attentive(), taken_over).await;
    assert!(seen.contains(&2) && seen.contains(&4), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_newer_protocol_a_static_member_that_was_killed_is_refused_with_the_reason_until_its_session_is_over() {
    let scene = Scene::new(4).await;
    let journal = JournalFile::new();
    let killed = member(&scene, &journal, &[("group.protocol", "consumer"), ("group.instance.id", "killed")]);
    killed.expect("4 partitions");
    killed.kill();
    let start = async || {
        let options = scene.consumer().kafka(of_instance(newer(), "killed"));
        let journal = Journal::open(journal.path());
        Running::start(scribe(options, &scene.topic(), &scene.name("scribes"), journal).await)
    };
    let refusal = chain(&start().await.ended().await.unwrap_err());
    assert!(refusal.contains("instance"), "{refusal}");
    // As an init system would.
    let mut again = start().await;
    until("it is let in", async || {
        if has(&again, 4) {
            return Ok(());
        }
        if again.is_over() {
            again = start().await;
        }
        Err(again.stats())
    })
    .await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_is_killed_and_started_within_its_session_goes_on_where_it_was() {
    let scene = Scene::new(4).await;
    let (publisher, journal) = (scene.publisher().await, JournalFile::new());
    let group = scene.name("scribes");
    let options = scene.consumer().kafka(of_instance(attentive(), "stays"));
    let stays = scribe(options, &scene.topic(), &group, Journal::open(journal.path())).await;
    let stays = Running::start(stays);
    // Longer than a slow machine takes to start a process.
    let within = [("group.instance.id", "killed"), ("session.timeout.ms", "300000")];
    let killed = member(&scene, &journal, &within);
    killed.expect("2 partitions");
    until_true("they share", || has(&stays, 2)).await;
    post(&publisher, PLAYERS, 1..=20).await;
    caught_up(&scene, &group).await;

    let (sampler, start) = (Sampler::of(&stays), Instant::now());
    killed.kill();
    post(&publisher, PLAYERS, 21..=40).await;
    let again = member(&scene, &journal, &within);
    again.expect("2 partitions");
    caught_up(&scene, &group).await;
    let seen = sampler.seen().await;
    assert!(start.elapsed() < Duration::from_secs(300), "the session was over: {:?}", start.elapsed());
    again.terminate();
    assert!(again.ended().success());
    stays.stop().await;
    assert_eq!(seen, [2]);
    // It had committed everything when it was killed, so not even repeats.
    assert_eq!(journal.ledger().0.audit(&posted(PLAYERS, 40)), Audit::default());
}
