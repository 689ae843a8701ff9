//! Letters redriven to handlers whose effects happen once: what was given up, what was handled behind it, and what ends in the middle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tidings::database::sqlx::{self, Row as _};
use tidings::transport::{Headers, OutgoingRecord};

use super::command::dead_letters;
use super::letters::{raw, write};
use crate::consumer::once::{Gate, child, each, effects, post_all, running, store_on};
use crate::setting;
use crate::support::groups::committed;
use crate::support::running::Running;
use crate::support::scene::Scene;
use crate::support::store::Store;
use crate::support::wait::until;

/// Its handler works in the transaction of the framework.
const ONCE: &str = "Once";
/// The control: its handler has the same effect, in a transaction of its own and before it fails.
const PLAIN: &str = "Plain";

/// How many letters of the dispatcher's group `tidings` redrives, and how many it leaves alone, since they were redriven.
fn redrive(scene: &Scene, dispatcher: &str) -> (u64, u64) {
    let group = scene.group(dispatcher);
    let finished = dead_letters(["redrive", "--group", &group, "--execute", "-o", "json"]).run().succeeded();
    let done: Value = serde_json::from_str(&finished.stdout).unwrap();
    (done["redriven"].as_u64().unwrap(), done["already_redriven"].as_u64().unwrap())
}

/// Forget that the last letter was redriven, and redrive it: what an operator must not do, and does.
async fn redrive_again(scene: &Scene, dispatcher: &str) {
    let topic = format!("{}.dead-letters", scene.group(dispatcher));
    let listed = dead_letters(["ls", "-t", &topic, "--all", "-o", "jsonl"]).run().succeeded().json_lines();
    let place = listed.last().unwrap()["letter"].as_str().unwrap();
    let mark = raw(&format!("{topic}.redriven"), place, b"", Headers::new());
    write([OutgoingRecord { payload: None, ..mark }]).await;
    assert_eq!(redrive(scene, dispatcher).0, 1, "{place}");
}

async fn until_effects(store: &Store, dispatcher: &str, expected: &[(&str, i64)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(event, times)| ((*event).to_owned(), *times)).collect();
    until(&format!("the effects at {dispatcher} are {expected:?}"), async || {
        let found = effects(store, dispatcher).await;
        if found == expected { Ok(()) } else { Err(found) }
    })
    .await;
}

/// What comes behind everything that was redriven is handled, so all of that is over.
async fn until_the_next_is_handled(scene: &Scene, store: &Store, plain: &[(&str, i64)]) {
    post_all(scene, 1, 7..=7).await;
    until_effects(store, ONCE, &[("0-4", 1), ("0-5", 1), ("0-6", 1), ("0-7", 1)]).await;
    until_effects(store, PLAIN, plain).await;
}

async fn holes(store: &Store) -> Vec<(String, i64, String)> {
    let holes = "SELECT dispatcher, sequence, event_id FROM tidings_inbox_hole";
    let rows = sqlx::query(holes).fetch_all(store.database.mysql_pool().unwrap()).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// A consumer that has given up event 5 and handled the others of 4, 5 and 6, in both groups; and what mends it.
async fn gave_up_5(scene: &Scene, store: &Store) -> (Running, Arc<AtomicBool>) {
    let refusing = Arc::new(AtomicBool::new(true));
    let running = running(scene, store, &Gate::Refusing(5, Arc::clone(&refusing))).await;
    post_all(scene, 1, 4..=6).await;
    until_effects(store, ONCE, &[("0-4", 1), ("0-6", 1)]).await;
    until_effects(store, PLAIN, &[("0-4", 1), ("0-5", 1), ("0-6", 1)]).await;
    assert_eq!(holes(store).await, [(ONCE.to_owned(), 5, "0-5".to_owned())]);
    (running, refusing)
}

async fn redriven_again_and_again(server: &str) {
    let (scene, store) = (Scene::new(1).await, store_on(server).await);
    let (running, refusing) = gave_up_5(&scene, &store).await;
    // While it still fails: it is given up once more.
    for dispatcher in [ONCE, PLAIN] {
        assert_eq!(redrive(&scene, dispatcher), (1, 0));
        let group = scene.group(dispatcher);
        until("it is given up again", async || match running.stats_of(&group).dead_lettered {
            2 => Ok(()),
            other => Err(other),
        })
        .await;
    }
    assert_eq!((effects(&store, ONCE).await, holes(&store).await.len()), (each(&["0-4", "0-6"], 1), 1));

    refusing.store(false, Ordering::Release);
    for dispatcher in [ONCE, PLAIN] {
        assert_eq!(redrive(&scene, dispatcher), (1, 1));
        assert_eq!(redrive(&scene, dispatcher), (0, 2), "a letter is redriven once");
        redrive_again(&scene, dispatcher).await;
    }
    let refused_twice_and_redriven_twice = 4;
    let plain = [("0-4", 1), ("0-5", refused_twice_and_redriven_twice), ("0-6", 1), ("0-7", 1)];
    until_the_next_is_handled(&scene, &store, &plain).await;
    let stats = running.stats_of(&scene.group(ONCE));
    running.stop().await;
    assert_eq!((stats.inbox_repeats, stats.inbox_forks, stats.dead_lettered), (1, 0, 2));
    assert_eq!(holes(&store).await, []);
}

async fn killed_before_an_offset_is_committed(server: &str) {
    let (scene, store) = (Scene::new(1).await, store_on(server).await);
    let mut killed = child(&scene, &store, "5");
    post_all(&scene, 1, 4..=6).await;
    until_effects(&store, ONCE, &[("0-4", 1), ("0-6", 1)]).await;
    until_effects(&store, PLAIN, &[("0-4", 1), ("0-5", 1), ("0-6", 1)]).await;
    killed.tell("be mended");
    killed.expect("mended");
    for dispatcher in [ONCE, PLAIN] {
        assert_eq!(redrive(&scene, dispatcher), (1, 0));
    }
    until_effects(&store, ONCE, &[("0-4", 1), ("0-5", 1), ("0-6", 1)]).await;
    until_effects(&store, PLAIN, &[("0-4", 1), ("0-5", 2), ("0-6", 1)]).await;
    killed.kill();
    assert_eq!(committed(&scene, &scene.group(ONCE)).await, [None]);

    // All of it comes again: what was given up, what was handled, what was redriven, and that once more.
    for dispatcher in [ONCE, PLAIN] {
        redrive_again(&scene, dispatcher).await;
    }
    let running = running(&scene, &store, &Gate::Open).await;
    until_the_next_is_handled(&scene, &store, &[("0-4", 2), ("0-5", 5), ("0-6", 2), ("0-7", 1)]).await;
    let stats = running.stats_of(&scene.group(ONCE));
    running.stop().await;
    assert_eq!((stats.handled, stats.inbox_repeats, stats.dead_lettered), (6, 5, 0));
    assert_eq!(holes(&store).await, []);
}

async fn killed_in_the_handler(server: &str) {
    let (scene, store) = (Scene::new(1).await, store_on(server).await);
    let (first, _) = gave_up_5(&scene, &store).await;
    first.stop().await;
    for dispatcher in [ONCE, PLAIN] {
        assert_eq!(redrive(&scene, dispatcher), (1, 0));
    }
    let killed = child(&scene, &store, "waits");
    for _ in [ONCE, PLAIN] {
        killed.expect("waiting");
    }
    killed.kill();

    let running = running(&scene, &store, &Gate::Open).await;
    until_effects(&store, ONCE, &[("0-4", 1), ("0-5", 1), ("0-6", 1)]).await;
    assert_eq!(running.stats_of(&scene.group(ONCE)).inbox_repeats, 0, "what was killed had no effect");
    for dispatcher in [ONCE, PLAIN] {
        redrive_again(&scene, dispatcher).await;
    }
    let refused_killed_handled_and_redriven_again = 4;
    let plain = [("0-4", 1), ("0-5", refused_killed_handled_and_redriven_again), ("0-6", 1), ("0-7", 1)];
    until_the_next_is_handled(&scene, &store, &plain).await;
    assert_eq!(running.stats_of(&scene.group(ONCE)).inbox_repeats, 1);
    running.stop().await;
    assert_eq!(holes(&store).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_5_redriven_behind_event_6_takes_effect_once_however_often_it_is_redriven() {
    redriven_again_and_again(&setting("TIDINGS_TEST_DATABASE")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_when_it_had_handled_what_was_redriven_and_had_committed_nothing_has_its_effects_once() {
    killed_before_an_offset_is_committed(&setting("TIDINGS_TEST_DATABASE")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_in_the_middle_of_what_was_redriven_has_its_effect_once() {
    killed_in_the_handler(&setting("TIDINGS_TEST_DATABASE")).await;
}

mod mariadb {
    use crate::setting;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs MariaDB: scripts/servers up mariadb"]
    async fn event_5_redriven_behind_event_6_takes_effect_once_however_often_it_is_redriven() {
        super::redriven_again_and_again(&setting("TIDINGS_TEST_MARIADB")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs MariaDB: scripts/servers up mariadb"]
    async fn a_process_killed_when_it_had_handled_what_was_redriven_and_had_committed_nothing_has_its_effects_once() {
        super::killed_before_an_offset_is_committed(&setting("TIDINGS_TEST_MARIADB")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs MariaDB: scripts/servers up mariadb"]
    async fn a_process_killed_in_the_middle_of_what_was_redriven_has_its_effect_once() {
        super::killed_in_the_handler(&setting("TIDINGS_TEST_MARIADB")).await;
    }
}
