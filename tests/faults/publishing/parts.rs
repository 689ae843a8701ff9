//! The parts that child processes play: a service that publishes, a relay alone, and one that sends directly.

use std::sync::Arc;
use std::time::Duration;

use tidings::database::{Database, DatabaseOptions};
use tidings::outbox::{KafkaProducers, Relay};
use tidings::publisher::{Acks, DeliveryMode, Publisher, PublisherOptions};

use super::press::{LEASE, Load, Pace, with_few_under_way};
use crate::journal::Journal;
use crate::support::child::{say, told};
use crate::support::scene::{codec, kafka};
use crate::support::scores::ScorePosted;

async fn publisher(mode: DeliveryMode) -> Publisher {
    let options = PublisherOptions::new(told("TOPIC")).kafka(kafka()).mode(mode);
    Publisher::builder(options).codec(codec()).build().await.unwrap()
}

/// How the events of this part travel: through the event store, where it was told of one.
fn mode() -> DeliveryMode {
    if std::env::var("STORE").is_ok() { DeliveryMode::Store } else { DeliveryMode::Outbox }
}

async fn database() -> Database {
    Database::connect(DatabaseOptions::new(told("DATABASE"))).await.unwrap()
}

async fn relay_of(database: &Database, publisher: &Publisher) -> Relay {
    let few = std::env::var("ROWS_UNDER_WAY").ok().map(|rows| with_few_under_way(rows.parse().unwrap()));
    let options = few.unwrap_or_default().lease_ttl(LEASE);
    #[cfg(feature = "store")]
    if let Ok(url) = std::env::var("STORE") {
        return Relay::new(database, super::stored::producers(url).await).options(options);
    }
    Relay::new(database, KafkaProducers::of(publisher)).options(options)
}

/// A service: commits, and relays what it commits, until it is ended.
pub(crate) async fn service() {
    let publisher = publisher(mode()).await;
    let database = database().await.with_publisher(&publisher);
    let _relay = relay_of(&database, &publisher).await.spawn();
    say("serving");
    let _load = Load::begin(&database, Pace { players: 8, ..Pace::GENTLE });
    std::future::pending::<()>().await;
}

/// A relay, until it is ended.
pub(crate) async fn relay() {
    let (publisher, database) = (publisher(DeliveryMode::Outbox).await, database().await);
    say("relaying");
    relay_of(&database, &publisher).await.run(terminated()).await.unwrap();
}

/// Until SIGTERM.
async fn terminated() {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    terminated.recv().await;
}

/// Sends each player's scores directly from where they were, and writes down what was acknowledged, until it is ended.
pub(crate) async fn sender() {
    let publisher = publisher(DeliveryMode::Direct { acks: Acks::All }).await;
    let journal = Arc::new(Journal::open(told("JOURNAL")));
    let from: i64 = told("FROM").parse().unwrap();
    say("sending");
    let senders = (0..4).map(|player| {
        let (publisher, journal) = (publisher.clone(), Arc::clone(&journal));
        tokio::spawn(async move {
            for serial in from.. {
                publisher.send(&ScorePosted::new(player, serial), Acks::All).await.unwrap();
                journal.note(player, serial);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    });
    futures_util::future::join_all(senders).await;
}
