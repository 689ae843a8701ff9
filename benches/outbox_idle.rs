//! `outbox-idle`: what a relay with nothing to do asks of its database, in statements a second, counted on the wire; beside a relay
//! that finds events as soon by asking every 10 ms.
//!
//! Needs `TIDINGS_TEST_BROKERS` and `TIDINGS_TEST_DATABASE`; `make bench` sets them. `TIDINGS_BENCH_SECONDS` (default 30) sizes the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, clippy::cast_precision_loss, reason = "a benchmark")]

mod support;

use std::time::Duration;

use support::counting::{counted, statements};
use support::outbox::{Ground, event, recorder};
use support::{Cluster, Measurement, number};
use tidings::database::{Database, DatabaseOptions, Error};
use tidings::outbox::{KafkaProducers, Relay, RelayOptions, status};
use tidings::transport::kafka::KafkaOptions;

const TOPIC: &str = "bench-outbox-idle";
/// What asking every 10 ms costs.
const ASKING: f64 = 100.0;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let seconds = number("TIDINGS_BENCH_SECONDS", 30);
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, 1).await;
    let ground = Ground::new().await;
    let (url, asked) = counted(&ground.url(), statements).await;
    let through = Database::connect(DatabaseOptions::new(url)).await.expect("a database");
    let producers = KafkaProducers::new(KafkaOptions::new(cluster.brokers())).topic(TOPIC);
    let relay = Relay::new(&through, producers).options(RelayOptions::default().check_durability(false)).spawn();

    // It has worked before, and has been told of it.
    let database = ground.database(2).await.with_publisher(&recorder(&cluster, TOPIC).await);
    while status(&database).await.expect("a status").unowned() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for score in 0..20 {
        let published = database.transaction(async |tx| {
            tx.publish(&event(1, score));
            Ok::<_, Error>(())
        });
        published.await.expect("a transaction");
    }
    while status(&database).await.expect("a status").rows() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;

    let before = asked.so_far();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let ours = (asked.so_far() - before) as f64 / seconds as f64;
    Measurement { name: "outbox-idle", ours, reference: ASKING, unit: "statements/s", target: Some(10.0) }
        .report_cost();

    relay.shutdown().await.expect("a relay that gets on");
    through.close().await;
    database.close().await;
    ground.clear().await;
    cluster.delete_topics(&[TOPIC]).await;
}
