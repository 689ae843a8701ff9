//! The relay beside a transaction that stays open for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tidings::database::Error;
use tidings::database::sqlx;
use tidings::transport::memory::MemoryProducer;
use tidings::transport::{OutgoingRecord, ProduceError, Producer, Written};

use crate::scenarios::account::AccountRenamed;
use crate::scenarios::stage::{Stage, eventually, position};
use crate::traps::insert;

async fn publish(stage: &Stage, events: usize) {
    let publish = stage.database.transaction(async |tx| {
        (0..events).for_each(|event| tx.publish(&AccountRenamed::new("7", &event.to_string())));
        Ok::<_, Error>(())
    });
    publish.await.unwrap();
}

pub(crate) async fn a_row_whose_transaction_stays_open_for_long_is_not_passed_by(stage: &Stage) {
    let mut late = stage.database.mysql_pool().unwrap().begin().await.unwrap();
    insert(&mut late, "late", 1).await;
    let relay = stage.relay();
    for _ in 0..30 {
        // Enough for marks to be moved, if nothing held them back.
        publish(stage, 100).await;
    }
    stage.until_published(3_000).await;
    late.commit().await.unwrap();
    stage.until_published(3_001).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    assert_eq!(position(stage.kafka.written().last().unwrap()), ("Account/late".to_owned(), 1));
}

/// Kafka, which counts what it was given.
#[derive(Debug, Clone)]
struct Counting {
    kafka: MemoryProducer,
    taken: Arc<AtomicUsize>,
}

impl Producer for Counting {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        self.taken.fetch_add(1, Ordering::AcqRel);
        self.kafka.enqueue(record)
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        self.kafka.flush(deadline)
    }

    fn purge(&self) {
        self.kafka.purge();
    }
}

/// How long it takes until 100 events, committed one after the other, are published one after the other.
async fn one_by_one(stage: &Stage, taken: &AtomicUsize) -> Duration {
    let begin = Instant::now();
    for _ in 0..100 {
        let before = taken.load(Ordering::Acquire);
        publish(stage, 1).await;
        eventually("it is published", async || taken.load(Ordering::Acquire) > before).await;
    }
    begin.elapsed()
}

/// It keeps an old view, so that nothing deleted is cleared away; it holds a row of the outbox that deletions must not wait for, and the
/// gate before it, so that nothing behind it is settled. All events are of one key: what is read again is read in one bucket.
pub(crate) async fn beside_a_transaction_that_stays_open_the_relay_is_about_as_fast_as_without(stage: &Stage) {
    let taken = Arc::<AtomicUsize>::default();
    let relay =
        Stage::relay_through(&stage.database, Counting { kafka: stage.kafka.clone(), taken: Arc::clone(&taken) });
    publish(stage, 1).await;
    stage.until_published(1).await;
    let without = one_by_one(stage, &taken).await;

    let mut open = stage.database.mysql_pool().unwrap().acquire().await.unwrap();
    for begin in
        ["SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"]
    {
        sqlx::raw_sql(begin).execute(&mut *open).await.unwrap();
    }
    insert(&mut open, "late", 1).await;
    let begin = Instant::now();
    for batch in 1..=100 {
        publish(stage, 100).await;
        let all = 101 + batch * 100;
        eventually("a batch is published", async || taken.load(Ordering::Acquire) >= all).await;
    }
    let backlog = begin.elapsed();
    // Deleted, too, though a row is held that nobody else sees.
    stage.until_empty().await;
    let beside = one_by_one(stage, &taken).await;
    sqlx::raw_sql("COMMIT").execute(&mut *open).await.unwrap();
    stage.until_published(10_202).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    assert_eq!(position(stage.kafka.written().last().unwrap()), ("Account/late".to_owned(), 1));
    assert!(
        beside < without * 4,
        "100 events took {without:?} without it, {beside:?} beside it; 10,000 took {backlog:?}"
    );
}
