//! Tenants: shares, caps, rates, and limits that change while the engine runs.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::rig::{Rig, key_of, options};
use crate::consumer::commands::{Command, Selection};
use crate::consumer::tenants::{LimitsFile, TenantLimit, TenantLimits};
use crate::dispatch::{BatchPolicy, DeliveryOrder, OnExhausted, Policy, failed as all_failed};
use crate::outcome::{HandlerError, Outcome};

const STEP: Duration = Duration::from_millis(10);

fn tenant_of(delivery: &crate::Delivery) -> String {
    delivery.record().headers.get_str("tenant").unwrap_or_default().to_owned()
}

/// What was begun: whose it was, and when.
type Begun = Arc<Mutex<Vec<(String, Instant)>>>;

/// Takes 10 ms.
fn slow(begun: &Begun) -> impl Fn(crate::Delivery) -> BoxFuture<'static, Outcome> + Send + Sync + use<> {
    let begun = Arc::clone(begun);
    move |delivery| {
        begun.lock().push((tenant_of(&delivery), Instant::now()));
        Box::pin(async {
            tokio::time::sleep(STEP).await;
            Outcome::Done
        })
    }
}

/// Ready at once.
fn quick(begun: &Begun) -> impl Fn(crate::Delivery) -> std::future::Ready<Outcome> + Send + Sync + use<> {
    let begun = Arc::clone(begun);
    move |delivery| {
        begun.lock().push((tenant_of(&delivery), Instant::now()));
        std::future::ready(Outcome::Done)
    }
}

fn limits<const N: usize>(tenants: [(&str, TenantLimit); N]) -> TenantLimits {
    tenants.into_iter().fold(TenantLimits::new(), |limits, (name, limit)| limits.tenant(name, limit))
}

const fn limit() -> TenantLimit {
    TenantLimit::new()
}

/// Publish `count` events of `tenant`, each of a key of its own, to both partitions in turn.
fn publish(rig: &Rig, tenant: &str, count: usize) {
    for number in 0..count {
        rig.publish_for(tenant, i32::from(number % 2 == 1), &format!("{tenant}-{number}"));
    }
}

fn count(begun: &[(String, Instant)], tenant: &str) -> usize {
    begun.iter().filter(|(begun, _)| begun == tenant).count()
}

fn assert_near(count: usize, expected: usize, tolerance: usize) {
    assert!(count.abs_diff(expected) <= tolerance, "{count}, not about {expected}");
}

#[tokio::test(start_paused = true)]
async fn under_load_tenants_have_turns_in_proportion_to_their_shares() {
    let begun = Begun::default();
    let tenants = limits([("large", limit().share(3))]);
    let rig = Rig::start_for(tenants, options().max_in_flight(8), Policy::INHERIT, slow(&begun));
    publish(&rig, "small", 2_000);
    publish(&rig, "large", 2_000);
    rig.until("some are begun", |_| begun.lock().len() >= 1_200).await;
    {
        let begun = begun.lock();
        // What is fetched first begins first, before there is anybody to share with.
        let contended = &begun[200..1_200];
        assert_near(count(contended, "large"), 750, 15);
    }
    rig.until("all is done", |rig| rig.stats().handled == 4_000).await;
    assert_eq!((rig.tenant("small").unwrap().handled, rig.tenant("large").unwrap().handled), (2_000, 2_000));
}

#[tokio::test(start_paused = true)]
async fn the_share_of_an_idle_tenant_goes_to_the_others() {
    let begun = Begun::default();
    let tenants = limits([("idle", limit().share(1_000)), ("a", limit().share(2))]);
    let rig = Rig::start_for(tenants, options().max_in_flight(10), Policy::INHERIT, slow(&begun));
    publish(&rig, "idle", 10);
    rig.until("they are done", |rig| rig.stats().handled == 10).await;
    let start = Instant::now();
    publish(&rig, "a", 2_000);
    publish(&rig, "b", 1_000);
    rig.until("all is done", |rig| rig.stats().handled == 3_010).await;
    // No place was kept free: 10 a step.
    assert!(start.elapsed() < STEP * 320, "{:?}", start.elapsed());
    assert_near(count(&begun.lock()[510..1_410], "a"), 600, 15);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_cap_is_passed_over_and_holds_nobody_back() {
    let begun = Begun::default();
    let tenants = limits([("capped", limit().max_in_flight(2))]);
    let most = Arc::new(AtomicUsize::new(0));
    let rig = Rig::start_for(tenants, options().max_in_flight(20), Policy::INHERIT, slow(&begun));
    publish(&rig, "capped", 200);
    publish(&rig, "free", 900);
    let peak = Arc::clone(&most);
    rig.until("all is done", move |rig| {
        let running = rig.tenant("capped").map_or(0, |stats| stats.in_flight);
        peak.fetch_max(usize::try_from(running).unwrap(), Ordering::Relaxed);
        rig.tenant("free").is_some_and(|stats| stats.handled == 900)
    })
    .await;
    assert_eq!(most.load(Ordering::Relaxed), 2);
    // 18 places for the others: 50 steps, in which the capped one has had about 2 each.
    let capped = rig.tenant("capped").unwrap();
    assert_near(usize::try_from(capped.handled).unwrap(), 100, 10);
    assert_eq!(capped.waiting + capped.in_flight + capped.handled, 200);
    rig.until("all is done", |rig| rig.stats().handled == 1_100).await;
    let capped = rig.tenant("capped").unwrap();
    assert_eq!((capped.waiting, capped.in_flight, capped.handled), (0, 0, 200));
}

async fn rates_hold(rig: &Rig, begun: &Begun) {
    publish(rig, "rated", 200);
    publish(rig, "free", 200);
    let start = Instant::now();
    rig.until("the others are done", |rig| rig.tenant("free").is_some_and(|stats| stats.handled == 200)).await;
    assert!(start.elapsed() < STEP * 30, "{:?}", start.elapsed());
    rig.until("all is done", |rig| rig.stats().handled == 400).await;
    let begun = begun.lock();
    let rated: Vec<_> = begun.iter().filter(|(tenant, _)| tenant == "rated").map(|(_, time)| *time).collect();
    for (index, start) in rated.iter().enumerate() {
        let within = rated[index..].iter().take_while(|time| **time < *start + Duration::from_secs(1)).count();
        assert!(within <= 56, "{within} in a second");
    }
    let all = *rated.last().unwrap() - rated[0];
    assert!((Duration::from_millis(3_700)..Duration::from_millis(4_300)).contains(&all), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_begins_no_more_in_a_second_than_its_rate_and_holds_nobody_back() {
    let tenants = limits([("rated", limit().rate(50))]);
    let begun = Begun::default();
    let rig = Rig::start_for(tenants.clone(), options(), Policy::INHERIT, slow(&begun));
    rates_hold(&rig, &begun).await;
    let begun = Begun::default();
    let rig = Rig::start_for(tenants, options(), Policy::INHERIT, quick(&begun));
    rates_hold(&rig, &begun).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_counts_as_an_attempt_of_its_tenant() {
    let attempts = Begun::default();
    let log = Arc::clone(&attempts);
    let policy = Policy::INHERIT.max_attempts(5).initial(Duration::from_millis(1));
    let tenants = limits([("rated", limit().rate(10))]);
    let rig = Rig::start_for(tenants, options(), policy, move |delivery| {
        log.lock().push((tenant_of(&delivery), Instant::now()));
        std::future::ready(Outcome::from(crate::HandlerError::from("never")))
    });
    publish(&rig, "rated", 4);
    let start = Instant::now();
    rig.until("all are given up", |rig| rig.stats().dead_lettered == 4).await;
    assert_eq!(attempts.lock().len(), 20);
    assert!(start.elapsed() > Duration::from_millis(1_800), "{:?}", start.elapsed());
    assert_eq!(rig.tenant("rated").unwrap().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_noisy_tenant_with_100_000_waiting_events_delays_a_quiet_one_by_about_one_handler() {
    let begun = Begun::default();
    let rig = Rig::start_for(TenantLimits::new(), options().max_in_flight(4), Policy::INHERIT, slow(&begun));
    publish(&rig, "noisy", 100_000);
    rig.until("they wait", |rig| rig.tenant("noisy").is_some_and(|stats| stats.waiting > 99_000)).await;
    for number in 0..20 {
        let published = Instant::now();
        let offset = rig.publish_for("quiet", number % 2, "quiet");
        rig.until("the quiet one's is begun", |_| count(&begun.lock(), "quiet") > usize::try_from(number).unwrap())
            .await;
        let begun = begun.lock().iter().rfind(|(tenant, _)| tenant == "quiet").unwrap().1;
        // An idle engine wakes for it at once; `until` looks every 10 ms.
        assert!(begun - published <= STEP * 2, "{:?}, at {offset}", begun - published);
    }
    assert!(rig.tenant("noisy").unwrap().waiting > 90_000);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_limits_are_shared_by_tenants_too() {
    let begun = Begun::default();
    let policy = Policy::INHERIT.concurrency(2);
    let rig = Rig::start_for(TenantLimits::new(), options(), policy, slow(&begun));
    publish(&rig, "noisy", 5_000);
    rig.until("they wait", |rig| rig.tenant("noisy").is_some_and(|stats| stats.waiting > 4_900)).await;
    publish(&rig, "quiet", 10);
    rig.until("the quiet one is done", |rig| rig.tenant("quiet").is_some_and(|stats| stats.handled == 10)).await;
    let all = begun.lock();
    let first = all.iter().position(|(tenant, _)| tenant == "quiet").unwrap();
    let last = all.iter().rposition(|(tenant, _)| tenant == "quiet").unwrap();
    assert!(last - first <= 20, "{first} to {last}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_beyond_the_bound_is_rejected_of_the_tenant_that_has_too_much_waiting() {
    let begun = Begun::default();
    let policy = Policy::INHERIT.concurrency(1).max_waiting(5).on_exhausted(OnExhausted::DeadLetter);
    let rig = Rig::start_for(TenantLimits::new(), options(), policy, slow(&begun));
    publish(&rig, "noisy", 500);
    publish(&rig, "quiet", 5);
    rig.until("all is done", |rig| rig.stats().handled + rig.stats().dead_lettered == 505).await;
    assert_eq!(rig.tenant("quiet").unwrap().handled, 5);
    assert!(rig.stats().dead_lettered >= 480, "{:?}", rig.stats());
    let letters = rig.letters.written.lock();
    assert!(letters.iter().all(|letter| {
        letter.headers.get_str(crate::consumer::dead_letter_header::CLASS) == Some("rejected")
            && letter.headers.get_str("tenant") == Some("noisy")
    }));
}

/// Sixty keys of partition 0, and twenty of partition 1, wait at a handler that takes ten a second and lets a hundred of a tenant
/// wait, until `go` makes those of partition 0 stop waiting. Then there is room for sixty more of partition 1.
async fn keys_that_stop_waiting(go: impl AsyncFnOnce(&Rig)) -> Rig {
    let policy = Policy::INHERIT.rate(10).max_waiting(100).on_exhausted(OnExhausted::DeadLetter);
    let rig = Rig::start_for(TenantLimits::new(), options(), policy, |_| async { Outcome::Done });
    let publish = |partition, name: &str, keys: std::ops::Range<i32>| {
        for key in keys {
            rig.publish_for("a", partition, &format!("{name}-{key}"));
        }
    };
    publish(1, "here", 0..20);
    publish(0, "gone", 0..60);
    let all_wait = |rig: &Rig| rig.tenant("a").is_some_and(|stats| stats.waiting + stats.handled == 80);
    rig.until("some are handled, and the others wait", |rig| rig.stats().handled > 0 && all_wait(rig)).await;
    go(&rig).await;
    publish(1, "here", 20..80);
    let of_here = |rig: &Rig| rig.handled.lock().iter().filter(|(key, _)| key.starts_with("here")).count();
    rig.until("the others are handled", |rig| of_here(rig) + rig.letters.written.lock().len() == 80).await;
    assert_eq!(rig.stats().dead_lettered, 0);
    rig
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_revoked_partition_use_up_no_room_of_their_tenants_to_wait() {
    keys_that_stop_waiting(async |rig| rig.revoke_first().await).await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_lost_partition_use_up_no_room_of_their_tenants_to_wait() {
    keys_that_stop_waiting(async |rig| rig.lose_first().await).await;
}

#[tokio::test(start_paused = true)]
async fn keys_from_before_a_seek_use_up_no_room_of_their_tenants_to_wait() {
    keys_that_stop_waiting(async |rig| rig.seek_first(100).await).await;
}

fn first_partition() -> Selection {
    Selection { topic: Some("accounts".into()), partition: Some(0) }
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_paused_partition_use_up_no_room_of_their_tenants_to_wait_and_go_on_when_it_does() {
    let rig = keys_that_stop_waiting(async |rig| {
        rig.commands.send(Command::Pause(first_partition()));
        rig.until("the command is taken", |rig| rig.commands.is_idle()).await;
    })
    .await;
    rig.commands.send(Command::Resume(first_partition()));
    rig.until("all are handled", |rig| rig.stats().handled == 140).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_in_a_paused_partition_keeps_no_place_of_its_tenant() {
    let tenants = limits([("capped", limit().max_in_flight(1))]);
    // What comes together fails, and goes alone from then on: not before the rate lets it, a second later.
    let handler = |deliveries: Vec<crate::Delivery>| {
        let failed = || all_failed(HandlerError::from("not together"), deliveries.len());
        std::future::ready(if deliveries.len() > 1 { failed() } else { vec![Outcome::Done] })
    };
    let batch = BatchPolicy::new(5, STEP);
    let rig = Rig::start_batches_for(Some(tenants), options(), Policy::INHERIT.rate(1), batch, handler);
    rig.publish_for("capped", 0, "first");
    rig.publish_for("free", 0, "other");
    let waits_alone = |rig: &Rig| rig.stats().retried == 2 && rig.tenant("capped").unwrap().in_flight == 1;
    rig.until("it waits for the handler, in its tenant's place", waits_alone).await;
    rig.commands.send(Command::Pause(first_partition()));
    rig.publish_for("capped", 1, "second");
    rig.until("the other partition's is handled", |rig| rig.handled_of("second") == [0]).await;
    assert_eq!(rig.handled_of("first"), [0; 0]);
    rig.commands.send(Command::Resume(first_partition()));
    rig.until("all are handled", |rig| rig.stats().handled == 3).await;
    assert_eq!(rig.tenant("capped").unwrap().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_on_behind_an_event_that_was_rejected() {
    let begun = Begun::default();
    let policy = Policy::INHERIT.concurrency(1).max_waiting(5).on_exhausted(OnExhausted::DeadLetter);
    let rig = Rig::start_for(TenantLimits::new(), options(), policy, slow(&begun));
    for _ in 0..2 {
        publish(&rig, "noisy", 100);
    }
    rig.until("all is done", |rig| rig.stats().handled + rig.stats().dead_lettered == 200).await;
    publish(&rig, "noisy", 100);
    rig.until("what came later, too", |rig| rig.stats().handled + rig.stats().dead_lettered == 300).await;
}

#[tokio::test(start_paused = true)]
async fn new_limits_apply_at_once_and_what_runs_goes_on() {
    let begun = Begun::default();
    let rig = Rig::start_for(
        limits([("a", limit().max_in_flight(8))]),
        options().max_in_flight(16),
        Policy::INHERIT,
        slow(&begun),
    );
    publish(&rig, "a", 3_000);
    rig.until("the cap is reached", |rig| rig.tenant("a").is_some_and(|stats| stats.in_flight == 8)).await;
    // Down: no more begin until fewer run.
    rig.set_limits(limits([("a", limit().max_in_flight(2))]));
    rig.until("the new cap holds", |rig| rig.tenant("a").unwrap().in_flight == 2).await;
    let (before, start) = (begun.lock().len(), Instant::now());
    rig.until("time passes", |_| start.elapsed() >= STEP * 20).await;
    assert_near(begun.lock().len() - before, 40, 4);
    // Up, and a rate so low that it holds for minutes; lifting that is felt at once.
    rig.set_limits(limits([("a", limit().max_in_flight(16))]));
    rig.until("the new cap is reached", |rig| rig.tenant("a").unwrap().in_flight == 16).await;
    rig.set_limits(limits([("a", limit().rate(1))]));
    rig.until("the rate holds", |rig| rig.tenant("a").unwrap().in_flight == 0).await;
    let before = begun.lock().len();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_near(begun.lock().len() - before, 10, 1);
    rig.set_limits(TenantLimits::new());
    let start = Instant::now();
    rig.until("the rest is done", |rig| rig.stats().handled == 3_000).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn setting_the_same_rate_again_and_again_gives_no_rate_back() {
    let begun = Begun::default();
    let tenants = limits([("a", limit().rate(20))]);
    let rig = Rig::start_for(tenants.clone(), options(), Policy::INHERIT, quick(&begun));
    publish(&rig, "a", 500);
    for _ in 0..500 {
        rig.set_limits(tenants.clone());
        tokio::time::sleep(STEP).await;
    }
    assert!((90..=105).contains(&begun.lock().len()), "{}", begun.lock().len());
}

/// One seeded run: keys of several tenants, handlers that sometimes wait or fail, and limits, pauses and places that change.
async fn whatever_changes_nothing_is_lost_or_reordered(seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let handler_chance = Arc::new(Mutex::new(StdRng::seed_from_u64(seed + 1)));
    let policy = Policy::INHERIT.max_attempts(1_000).initial(Duration::from_millis(5)).breaker_keys(0);
    let policy = if seed.is_multiple_of(3) { policy.concurrency(4) } else { policy };
    let policy = if seed % 5 == 4 { policy.order(DeliveryOrder::Partition) } else { policy };
    let rig = Rig::start_for(TenantLimits::new(), options().max_in_flight(6), policy, move |delivery| {
        assert!(!key_of(&delivery).is_empty());
        let roll = handler_chance.lock().random_range(0..10);
        async move {
            match roll {
                0 => Outcome::from(crate::HandlerError::from("now and then")),
                1..=4 => {
                    tokio::time::sleep(Duration::from_millis(roll * 7)).await;
                    Outcome::Done
                }
                _ => Outcome::Done,
            }
        }
    });
    let mut expected = BTreeMap::<String, Vec<i64>>::new();
    let mut total = 0;
    for _ in 0..30 {
        for _ in 0..chance.random_range(0..60) {
            let key = chance.random_range(0..12_u32);
            // Most keys are one tenant's; some are shared.
            let tenant = if key < 9 { key % 4 } else { chance.random_range(0..4) };
            let partition = i32::from(key % 2 == 1);
            let offset = rig.publish_for(&format!("t{tenant}"), partition, &key.to_string());
            expected.entry(key.to_string()).or_default().push(offset);
            total += 1;
        }
        match chance.random_range(0..4) {
            0 => {
                rig.commands
                    .send(Command::Pause(Selection { topic: None, partition: Some(chance.random_range(0..2)) }));
            }
            1 => rig.commands.send(Command::Resume(Selection { topic: None, partition: None })),
            _ => {
                let limits = (0..4).fold(TenantLimits::new(), |limits, tenant| {
                    let mut limit = TenantLimit::new().share(chance.random_range(1..9));
                    if chance.random_bool(0.5) {
                        limit = limit.max_in_flight(chance.random_range(1..4));
                    }
                    if chance.random_bool(0.5) {
                        limit = limit.rate(chance.random_range(50..500));
                    }
                    limits.tenant(format!("t{tenant}"), limit)
                });
                rig.set_limits(limits);
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..80))).await;
    }
    rig.commands.send(Command::Resume(Selection { topic: None, partition: None }));
    rig.until("all is done", |rig| rig.stats().handled == total).await;
    for (key, offsets) in expected {
        assert_eq!(rig.handled_of(&key), offsets, "key {key}, seed {seed}");
    }
    for tenant in 0..4 {
        let stats = rig.tenant(&format!("t{tenant}")).unwrap();
        assert_eq!((stats.waiting, stats.in_flight), (0, 0), "seed {seed}");
    }
    assert_eq!(rig.stats().in_flight, 0);
    assert_eq!(rig.stats().buffered_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn limits_that_change_while_it_runs_lose_and_reorder_nothing() {
    for seed in 0..15 {
        whatever_changes_nothing_is_lost_or_reordered(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_that_go_and_come_back_take_their_tenants_events_along() {
    let begun = Begun::default();
    let tenants = limits([("a", limit().max_in_flight(1))]);
    let rig = Rig::start_for(tenants, options().max_in_flight(4), Policy::INHERIT, slow(&begun));
    publish(&rig, "a", 500);
    rig.until("they wait", |rig| rig.tenant("a").is_some_and(|stats| stats.waiting > 490)).await;
    rig.broker.lose("accounts", &[0, 1]);
    rig.until("nothing is held", |rig| rig.tenant("a").is_some_and(|stats| stats.waiting + stats.in_flight == 0)).await;
    rig.broker.assign("accounts", &[0, 1]);
    rig.until("all is done", |rig| rig.broker.committed("accounts", 0) == Some(250)).await;
    rig.until("all is done", |rig| rig.broker.committed("accounts", 1) == Some(250)).await;
    let stats = rig.tenant("a").unwrap();
    assert_eq!((stats.waiting, stats.in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn however_many_tenants_there_are_all_are_handled_and_few_are_remembered() {
    let rig = Rig::start_for(TenantLimits::new(), options(), Policy::INHERIT, |_| async { Outcome::Done });
    for number in 0..30_000 {
        rig.publish_for(&format!("tenant-{number}"), number % 2, &number.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 30_000).await;
    assert!(rig.book.read(&"tests".into()).len() <= 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_limits_that_changes_applies_and_one_that_breaks_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("limits.toml");
    fs::write(&path, "[default]\nmax_in_flight = 2\n").unwrap();
    let (file, read) = LimitsFile::open(path.clone()).await.unwrap();
    assert_eq!(read, TenantLimits::new().default_limit(limit().max_in_flight(2)));
    let begun = Begun::default();
    let rig = Arc::new(Rig::start_for(read, options(), Policy::INHERIT, slow(&begun)));
    let book = Arc::clone(&rig.book);
    let commands = Arc::clone(&rig.commands);
    let watched = file.watch(&tokio::runtime::Handle::current(), move |limits| {
        book.set_limits(limits);
        commands.send(Command::ReloadTenantLimits);
    });
    publish(&rig, "a", 60_000);
    let in_flight = |count| move |rig: &Rig| rig.tenant("a").is_some_and(|stats| stats.in_flight == count);
    rig.until("the cap holds", in_flight(2)).await;
    fs::write(&path, "[default]\nmax_in_flight = 5\n").unwrap();
    rig.until("the new cap holds", in_flight(5)).await;
    // Broken, gone, too large: the last limits stay.
    fs::write(&path, "[default]\nmax_in_flight = \n").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(in_flight(5)(&rig));
    fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(in_flight(5)(&rig));
    fs::write(&path, " ".repeat(2 * 1024 * 1024)).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(in_flight(5)(&rig));
    // Replaced at once, as careful tools do.
    let next = directory.path().join("next");
    fs::write(&next, "[tenants.a]\nmax_in_flight = 9\n").unwrap();
    fs::rename(&next, &path).unwrap();
    rig.until("the new cap holds", in_flight(9)).await;
    drop(watched);
    fs::write(&path, "[default]\nmax_in_flight = 1\n").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(in_flight(9)(&rig));
}

#[tokio::test(start_paused = true)]
async fn tenants_share_the_batches_of_a_handler() {
    let batches = Arc::new(Mutex::new(Vec::<Vec<String>>::new()));
    let log = Arc::clone(&batches);
    let tenants = limits([("large", limit().share(3)), ("capped", limit().max_in_flight(2))]);
    let rig = Rig::start_batches_for(
        Some(tenants),
        options().max_in_flight(1),
        Policy::INHERIT,
        BatchPolicy::new(20, STEP),
        move |deliveries| {
            log.lock().push(deliveries.iter().map(tenant_of).collect());
            async move {
                tokio::time::sleep(STEP).await;
                deliveries.iter().map(|_| Outcome::Done).collect()
            }
        },
    );
    let mut expected = BTreeMap::<String, Vec<i64>>::new();
    for number in 0..400 {
        for tenant in ["large", "small", "capped"] {
            let key = format!("{tenant}-{}", number % 100);
            let offset = rig.publish_for(tenant, i32::from(number % 2 == 1), &key);
            expected.entry(key).or_default().push(offset);
        }
    }
    rig.until("all is done", |rig| rig.stats().handled == 1_200).await;
    for (key, offsets) in expected {
        assert_eq!(rig.handled_of(&key), offsets, "{key}");
    }
    let batches = batches.lock();
    let count = |batch: &[String], tenant: &str| batch.iter().filter(|name| *name == tenant).count();
    assert!(batches.iter().all(|batch| batch.len() <= 20 && count(batch, "capped") <= 2), "{batches:?}");
    let contended = batches[5..20].concat();
    assert_eq!(count(&contended, "capped"), 30);
    assert_eq!((rig.tenant("capped").unwrap().in_flight, rig.tenant("capped").unwrap().handled), (0, 400));
}
