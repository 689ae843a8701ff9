//! A database that is restored from an older copy.

use std::collections::BTreeMap;

use tidings::audit::{Audit as Auditor, AuditReport};
use tidings::consumer::Consumer;
use tidings::database::sqlx::{self, Row as _};
use tidings::dispatch::Message;
use tidings::prelude::*;

use super::press::{Press, post_many};
use crate::command::tidings;
use crate::servers::Servers;
use crate::support::chance::tell;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::running::Running;
use crate::support::scene::{codec, kafka};
use crate::support::scores::ScorePosted;
use crate::support::store::Store;

const PLAYERS: i64 = 6;
/// Events of a player in each round.
const EVENTS: i64 = 3;

/// In the order of their commits: a player's effects never overlap.
const EFFECTS: &str = "CREATE TABLE effect (id BIGINT AUTO_INCREMENT PRIMARY KEY, player BIGINT NOT NULL, \
    epoch INT UNSIGNED NOT NULL, sequence BIGINT NOT NULL)";

/// The tables whose state a copy has.
const TABLES: [&str; 3] = ["player", "tidings_stream", "tidings_outbox"];

async fn post(press: &Press, rounds: usize) {
    let database = press.database();
    for _ in 0..rounds {
        for player in 0..PLAYERS {
            post_many(&database, player, EVENTS).await.unwrap();
        }
    }
}

async fn post_and_publish(press: &Press, rounds: usize) {
    post(press, rounds).await;
    press.drain().await;
}

async fn audit(press: &Press) -> AuditReport {
    let audit = Auditor::new(&kafka(), press.scene.topic()).outbox(&press.store.database);
    audit.run(std::future::pending(), |_| {}).await.unwrap()
}

/// Publish, copy, publish more, restore the copy. `waiting` rounds wait in the outbox of the copy, and `unpublished` more are never
/// published. What the topic has and the copy does not know.
async fn restored(press: &Press, waiting: usize, unpublished: usize) -> u64 {
    post_and_publish(press, 4).await;
    post(press, waiting).await;
    for table in TABLES {
        press.execute(&format!("CREATE TABLE copy_of_{table} AS SELECT * FROM {table}")).await;
    }
    post_and_publish(press, 2).await;
    post(press, unpublished).await;
    for table in TABLES {
        press.execute(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM copy_of_{table}")).await;
    }
    events(2)
}

/// How many events are posted in so many rounds.
fn events(rounds: usize) -> u64 {
    rounds as u64 * u64::try_from(PLAYERS * EVENTS).unwrap()
}

/// Writes down each event in the transaction that its inbox remembers it by.
struct Clerk;

#[dispatcher(source = "scores")]
impl Clerk {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted, message: Message, tx: Transaction) -> Result<()> {
        let add = sqlx::query("INSERT INTO effect (player, epoch, sequence) VALUES (?, ?, ?)").bind(event.player);
        let add = add.bind(message.stream_epoch()).bind(i64::try_from(message.sequence().unwrap_or_default())?);
        add.execute(&mut *tx.mysql().await?).await?;
        Ok(())
    }
}

/// What the consumer's effects show of each stream, in the order of their commits.
async fn effects(board: &Store) -> BTreeMap<i64, Vec<(u32, i64)>> {
    let mut effects = BTreeMap::<_, Vec<_>>::new();
    let rows = sqlx::query("SELECT player, epoch, sequence FROM effect ORDER BY id");
    for row in rows.fetch_all(board.database.mysql_pool().unwrap()).await.unwrap() {
        effects.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    effects
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_and_a_new_epoch_nothing_is_taken_for_what_it_is_not() {
    let _alone = Servers::alone().await;
    let (press, board) = (Press::new().await, Store::new().await);
    sqlx::query(EFFECTS).execute(board.database.mysql_pool().unwrap()).await.unwrap();
    let consumer = Consumer::builder(press.scene.consumer())
        .codec(codec())
        .database(board.database.clone())
        .dispatch_with(Clerk, |settings| settings.source(press.scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());

    let forgotten = restored(&press, 2, 1).await;
    // The auditor sees at once that the database knows less than the topic.
    assert_eq!(audit(&press).await.totals.unknown, forgotten);
    // Without --execute it only tells.
    let url = press.store.url();
    let new_epoch = || tidings(["outbox", "new-epoch", "--all", "--database", &url]);
    tokio::task::block_in_place(|| {
        new_epoch().run().succeeded();
        new_epoch().args(["--execute"]).run().succeeded();
    });
    let epochs = press.numbers("SELECT CAST(MIN(epoch) AS SIGNED), MAX(sequence) FROM tidings_stream").await.unwrap();
    assert!(matches!(epochs[..], [(1_700_000_000.., 0)]), "{epochs:?}");
    post_and_publish(&press, 4).await;
    let totals = audit(&press).await.totals;
    assert_eq!((totals.missing, totals.out_of_order, totals.forked, totals.unknown), (0, 0, 0, 0), "{totals:?}");
    // What waited in the copy had been published before, and was again, as what it was.
    assert_eq!((totals.repeated, totals.events), (events(2), events(4 + 2 + 2 + 4 + 2)), "{totals:?}");

    caught_up(&press.scene, &press.scene.group("Clerk")).await;
    let stats = running.stop().await;
    assert_eq!((stats.dead_lettered, stats.parked), (0, 0), "{stats:?}");
    let effects = effects(&board).await;
    let (ledger, mut published) = (Ledger::default(), Published::new());
    for (player, effects) in &effects {
        assert!(effects.is_sorted(), "the new epoch comes behind the old one: {effects:?}");
        for (epoch, sequence) in effects {
            ledger.note(format!("{player} {}", epoch.min(&1)), *sequence);
        }
    }
    // All that was ever committed, by the promises of `docs/outbox.md`: in the old epoch, and in the new one.
    for player in 0..PLAYERS {
        published.insert(format!("{player} 0"), EVENTS * (4 + 2 + 2 + 1));
        published.insert(format!("{player} 1"), EVENTS * 4);
    }
    let found = ledger.audit(&published);
    tell(&format!("a restored copy, and a new epoch: {} committed, {found:?}", published.values().sum::<i64>()));
    // What was committed after the copy was made and not yet published is lost with the database, and nothing else is.
    assert_eq!(found, Audit { lost: usize::try_from(events(1)).unwrap(), ..Audit::default() });
    for (player, effects) in &effects {
        let old = effects.iter().filter(|(epoch, _)| *epoch == 0).map(|(_, sequence)| *sequence);
        assert_eq!(old.max(), Some(EVENTS * (4 + 2 + 2)), "of {player} the last ones are lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_without_a_new_epoch_the_auditor_sees_two_events_with_one_sequence() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let forgotten = restored(&press, 0, 0).await;
    post_and_publish(&press, 4).await;
    let totals = audit(&press).await.totals;
    // The last sequence that both have shows the fork; those before it look like repeats.
    assert_eq!((totals.forked, totals.repeated), (6, forgotten - 6), "{totals:?}");
}
