//! An event store whose database is restored from an older copy.

use tidings::audit::{Audit, AuditTotals};
use tidings::database::sqlx::{self, AssertSqlSafe};
use tidings::outbox::{KafkaProducers, Relay};
use tidings::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, StoreOptions};

use crate::command::tidings;
use crate::event_store::event_of;
use crate::scenarios::store_epochs::{copying, restoring};
use crate::support::scene::{Scene, kafka};
use crate::support::store::Store;

/// Append `rounds` events of each of three streams, wherever the streams are, and forward them.
async fn append_and_forward(scene: &Scene, database: &Store, rounds: u64) {
    let store = DatabaseStore::open(&database.database, StoreOptions::default()).await.unwrap();
    for number in 0..rounds {
        for stream in 0..3 {
            let event = event_of(&scene.topic(), &format!("Account/{stream}"), number);
            store.append(Append::new([event], ExpectedVersion::Any)).await.unwrap();
        }
    }
    let relay = Relay::new(&database.database, KafkaProducers::new(kafka()).topic(scene.topic())).spawn();
    database.until_published().await;
    relay.shutdown().await.unwrap();
    store.close().await;
}

async fn audit(scene: &Scene, database: &Store) -> AuditTotals {
    let audit = Audit::new(&kafka(), scene.topic()).store(&database.database);
    audit.run(std::future::pending(), |_| {}).await.unwrap().totals
}

/// A store that was restored from a copy with four events of each stream, after six were on the topic.
async fn restored() -> (Scene, Store) {
    let (scene, database) = (Scene::new(2).await, Store::new().await);
    let execute = async |statements: Vec<String>| {
        for sql in statements {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(database.database.mysql_pool().unwrap()).await.unwrap();
        }
    };
    DatabaseStore::migrate(&database.database).await.unwrap();
    append_and_forward(&scene, &database, 4).await;
    execute(copying()).await;
    append_and_forward(&scene, &database, 2).await;
    execute(restoring()).await;
    assert_eq!(
        audit(&scene, &database).await.unknown,
        3 * 2,
        "the auditor sees that the store knows less than the topic"
    );
    (scene, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_and_a_new_epoch_the_topic_has_no_fork_and_no_repeat() {
    let (scene, database) = restored().await;
    let url = database.url();
    let new_epoch = || tidings(["store", "new-epoch", "--all", "--database", &url]);
    tokio::task::block_in_place(|| {
        new_epoch().run().succeeded();
        new_epoch().args(["--execute"]).run().succeeded();
    });
    append_and_forward(&scene, &database, 4).await;
    let totals = audit(&scene, &database).await;
    assert_eq!((totals.missing, totals.repeated, totals.out_of_order), (0, 0, 0), "{totals:?}");
    assert_eq!((totals.forked, totals.unknown), (0, 0), "{totals:?}");
    assert_eq!(totals.events, 3 * (4 + 2 + 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_without_a_new_epoch_the_topic_has_two_events_in_one_place() {
    let (scene, database) = restored().await;
    append_and_forward(&scene, &database, 4).await;
    let totals = audit(&scene, &database).await;
    assert_eq!((totals.forked, totals.repeated), (3, 3), "{totals:?}");
}
