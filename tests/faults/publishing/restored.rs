//! A database that is restored from an older copy.

use tidings::audit::{Audit, AuditReport};

use super::press::{Press, post_many};
use crate::command::tidings;
use crate::servers::Servers;
use crate::support::scene::kafka;

/// The tables whose state a copy has.
const TABLES: [&str; 3] = ["player", "tidings_stream", "tidings_outbox"];

async fn post_and_publish(press: &Press, rounds: usize) {
    let database = press.database();
    for _ in 0..rounds {
        for player in 0..6 {
            post_many(&database, player, 3).await.unwrap();
        }
    }
    press.drain().await;
}

async fn audit(press: &Press) -> AuditReport {
    let audit = Audit::new(&kafka(), press.scene.topic()).outbox(&press.store.database);
    audit.run(std::future::pending(), |_| {}).await.unwrap()
}

/// Publish, copy, publish more, restore the copy. What was published since the copy was taken.
async fn restored(press: &Press) -> u64 {
    post_and_publish(press, 4).await;
    for table in TABLES {
        press.execute(&format!("CREATE TABLE copy_of_{table} AS SELECT * FROM {table}")).await;
    }
    post_and_publish(press, 2).await;
    for table in TABLES {
        press.execute(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM copy_of_{table}")).await;
    }
    6 * 2 * 3
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_and_a_new_epoch_nothing_is_taken_for_what_it_is_not() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let forgotten = restored(&press).await;
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
    assert_eq!((totals.missing, totals.repeated, totals.out_of_order), (0, 0, 0), "{totals:?}");
    assert_eq!((totals.forked, totals.unknown), (0, 0), "{totals:?}");
    assert_eq!(totals.events, 6 * 3 * (4 + 2 + 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_without_a_new_epoch_the_auditor_sees_two_events_with_one_sequence() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let forgotten = restored(&press).await;
    post_and_publish(&press, 4).await;
    let totals = audit(&press).await.totals;
    // The last sequence that both have shows the fork; those before it look like repeats.
    assert_eq!((totals.forked, totals.repeated), (6, forgotten - 6), "{totals:?}");
}
