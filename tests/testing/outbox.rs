//! From a transaction through the outbox and the relay to a handler: the database is real, the broker need not be.

use tidings::database::{Database, DatabaseOptions, Error, Transaction};
use tidings::outbox::Relay;
use tidings::publisher::{DeliveryMode, PublisherOptions};

use crate::board::{Board, consumer, renamed};

#[tokio::test]
async fn what_a_transaction_publishes_is_handled_once_and_in_its_order() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let options = DatabaseOptions::new(format!("sqlite:{}", folder.path().join("players.db").display()));
    let database = Database::connect(options.migrate(true)).await.unwrap();
    let publisher = kit.publisher_builder(PublisherOptions::new("players").mode(DeliveryMode::Outbox)).build().await;
    let database = database.with_publisher(&publisher.unwrap());
    let producer = kit.producer();
    let relay = Relay::new(&database, move || producer.clone()).spawn();

    let (first, second) = (renamed(1, "Ada"), renamed(1, "Grace"));
    let publish = database.transaction(async |tx: Transaction| {
        tx.publish(&first);
        tx.publish(&second);
        Ok::<_, Error>(())
    });
    publish.await.unwrap();

    kit.until_published(&first).await;
    let second = kit.until_published(&second).await;
    kit.assert_handled_once(&first).await;
    kit.assert_handled_once(&second).await;
    kit.assert_in_order().await;
    let names: Vec<_> = board.shown.lock().iter().map(|(_, name)| name.clone()).collect();
    assert_eq!(names, ["Ada", "Grace"]);
    assert!(kit.handled().iter().all(|attempt| attempt.attempt == 1));

    relay.shutdown().await.unwrap();
    database.close().await;
}
