//! What a relay with nothing to do asks of its database.

use std::time::Duration;

use tidings::database::{Database, DatabaseOptions, Error};
use tidings::outbox::status;
use tokio::time::{Instant, sleep_until};

use crate::counting::{Counted, counted, statements};
use crate::scenarios::account::AccountRenamed;
use crate::scenarios::stage::{Place, Stage, eventually, of_server};
use crate::setting;

/// How many statements a second are few.
const FEW: u64 = 10;
const WATCHED: Duration = Duration::from_secs(5);

async fn publish(stage: &Stage) {
    let published = stage.database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new("7", "Kim"));
        Ok::<_, Error>(())
    });
    published.await.unwrap();
}

/// How many statements are asked in this time.
async fn asked_in(asked: &Counted, time: Duration) -> u64 {
    let (before, end) = (asked.so_far(), Instant::now() + time);
    sleep_until(end).await;
    asked.so_far() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_relay_asks_its_database_fewer_than_ten_things_a_second() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let Place::Server { url, name } = &stage.place else { panic!("a file has no line") };
    let (url, asked) = counted(&of_server(url, name), statements).await;
    let database = Database::connect(DatabaseOptions::new(url)).await.unwrap();
    let relay = stage.relay_of(&database);
    eventually("all buckets are owned", async || status(&stage.database).await.unwrap().unowned() == 0).await;
    // Nothing was committed yet: one that found rows before it was told of them looks more often, for ten minutes.
    eventually("it rests", async || asked_in(&asked, Duration::from_secs(1)).await < FEW).await;

    let idle = asked_in(&asked, WATCHED).await;
    assert!(idle > 0, "it renews its leases, at least");
    assert!(idle < FEW * WATCHED.as_secs(), "{idle} statements in {WATCHED:?}");

    // What it does is counted: an event is read, and deleted.
    let before = asked.so_far();
    for events in 1..=10 {
        publish(&stage).await;
        stage.until_published(events).await;
        stage.until_empty().await;
    }
    let busy = asked.so_far() - before;
    assert!(busy >= 20, "{busy} statements for ten events");
    relay.shutdown().await.unwrap();
    database.close().await;
    stage.clear().await;
}
