//! `outbox-idle`: what a relay with nothing to do asks of its database, in statements a second, counted on the wire; beside a relay
//! that finds events as soon by asking every 10 ms.
//!
//! Needs `TIDINGS_TEST_BROKERS` and `TIDINGS_TEST_DATABASE`; `make bench` sets them. `TIDINGS_BENCH_SECONDS` (default 30) sizes the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, clippy::cast_precision_loss, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::outbox::{Ground, event, recorder};
use support::{Cluster, Measurement, number};
use tidings::database::{Database, DatabaseOptions, Error};
use tidings::outbox::{KafkaProducers, Relay, RelayOptions, status};
use tidings::transport::kafka::KafkaOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const TOPIC: &str = "bench-outbox-idle";
/// What asking every 10 ms costs.
const ASKING: f64 = 100.0;
/// The first byte of a statement's packet, behind its header.
const QUERY: u8 = 3;
const HEADER_BYTES: usize = 4;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let seconds = number("TIDINGS_BENCH_SECONDS", 30);
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, 1).await;
    let ground = Ground::new().await;
    let statements = Arc::new(AtomicU64::new(0));
    let url = counted(&ground.url(), Arc::clone(&statements)).await;
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

    let before = statements.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let ours = (statements.load(Ordering::Relaxed) - before) as f64 / seconds as f64;
    Measurement { name: "outbox-idle", ours, reference: ASKING, unit: "statements/s", target: Some(10.0) }
        .report_cost();

    relay.shutdown().await.expect("a relay that gets on");
    through.close().await;
    database.close().await;
    ground.clear().await;
    cluster.delete_topics(&[TOPIC]).await;
}

/// The same database by another way, on which statements are counted.
async fn counted(url: &str, statements: Arc<AtomicU64>) -> String {
    let (credentials, rest) = url.split_once('@').expect("a URL with a user");
    let (address, name) = rest.split_once('/').expect("a URL with a database");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = listener.local_addr().expect("an address");
    let address = address.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.expect("a database server");
            let statements = Arc::clone(&statements);
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let down = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 1 << 20];
                while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                    let packet = &buffer[..length];
                    if packet.get(HEADER_BYTES) == Some(&QUERY) {
                        // The relay's literals have none.
                        let more = packet.split(|byte| *byte == b';').count() - 1;
                        statements.fetch_add(1 + more as u64, Ordering::Relaxed);
                    }
                    if to_server.write_all(packet).await.is_err() {
                        break;
                    }
                }
                down.abort();
            });
        }
    });
    format!("{credentials}@{here}/{name}?ssl-mode=disabled")
}
