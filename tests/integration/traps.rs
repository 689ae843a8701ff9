//! What relays are often built on, and what it costs: each trap is set for a relay as it must not be written, which falls into it,
//! and for ours, which does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidings::database::sqlx::mysql::MySqlConnection;
use tidings::database::sqlx::{self, AssertSqlSafe, MySql, Row as _};
use tidings::database::{Database, DatabaseOptions, Error};
use tidings::outbox::{Relay, RelayHandle, RelayOptions, bucket_of, status};
use tidings::transport::memory::MemoryProducer;
use tidings::transport::{OutgoingRecord, ProduceError, Producer, Written};
use tokio::sync::watch;

use crate::lines::a_line_that_holds_reads;
use crate::scenarios::account::AccountRenamed;
use crate::scenarios::stage::{Place, Stage, eventually};

/// A stream and a sequence.
type Event = (String, u64);

fn events(stream: &str, sequences: &[u64]) -> Vec<Event> {
    sequences.iter().map(|sequence| (stream.to_owned(), *sequence)).collect()
}

async fn commit(stage: &Stage, id: &str) {
    let publish = stage.database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new(id, "Kim"));
        Ok::<_, Error>(())
    });
    publish.await.unwrap();
}

/// Insert an event of `Account/{key}` as a transaction of tidings does: a gate first, then the event. Returns its id.
pub(crate) async fn insert(connection: &mut MySqlConnection, key: &str, sequence: u64) -> u64 {
    let gate = sqlx::raw_sql("SELECT slot FROM tidings_outbox_gate WHERE slot = 0 LOCK IN SHARE MODE");
    gate.execute(&mut *connection).await.unwrap();
    let event = format!(
        "INSERT INTO tidings_outbox (bucket, event_id, topic, stream, epoch, sequence, partition_key, source, event_type, \
         schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, payload) VALUES ({}, UUID(), \
         'accounts', 'Account/{key}', 0, '{sequence:020}', '{key}', '/accounts', 'accounts.AccountRenamed', '1.0.0', \
         '2025-01-01T00:00:00Z', '2025-01-01T00:00:00Z', 'c', 'd', 'p', X'00')",
        bucket_of(key)
    );
    let inserted = sqlx::raw_sql(AssertSqlSafe(event)).execute(connection).await;
    inserted.unwrap().last_insert_id()
}

/// A relay, ours or another, one step at a time.
trait Steps {
    /// Read what there is, and hand it to Kafka: `count` events, if it is right.
    async fn publish(&mut self, count: usize);
    /// Hear that Kafka has them, and delete them.
    async fn settle(&mut self);
    /// Go on until nothing more comes; what was published, in its order.
    async fn finish(self) -> Vec<Event>;
}

/// Ours, whose records Kafka holds until it is told.
struct Ours<'a> {
    stage: &'a Stage,
    relay: RelayHandle,
    before: usize,
}

impl<'a> Ours<'a> {
    async fn on(stage: &'a Stage) -> Self {
        Self::of(stage, &stage.database).await
    }

    /// One that has found out that the topic takes events: before that it hands over one alone.
    async fn of(stage: &'a Stage, database: &Database) -> Self {
        let (relay, before) = (stage.relay_of(database), stage.published().len() + 1);
        commit(stage, "first").await;
        stage.until_published(before).await;
        stage.until_empty().await;
        stage.kafka.hold();
        Self { stage, relay, before }
    }
}

impl Steps for Ours<'_> {
    async fn publish(&mut self, count: usize) {
        eventually("they are in flight", async || self.stage.kafka.outstanding() == count).await;
    }

    async fn settle(&mut self) {
        self.stage.kafka.release();
    }

    async fn finish(self) -> Vec<Event> {
        self.stage.until_empty().await;
        self.relay.shutdown().await.unwrap();
        self.stage.published().split_off(self.before)
    }
}

/// Another, as they are often written.
struct Naive<'a> {
    stage: &'a Stage,
    reads: Reads,
    deletes: Deletes,
    last: u64,
    unsettled: Vec<u64>,
    published: Vec<Event>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Everything,
    BehindACursor,
    PastLockedRows,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deletes {
    WhatWasPublished,
    UpToTheLast,
    Nothing,
}

impl<'a> Naive<'a> {
    fn on(stage: &'a Stage, reads: Reads, deletes: Deletes) -> Self {
        Self { stage, reads, deletes, last: 0, unsettled: Vec::new(), published: Vec::new() }
    }
}

impl Steps for Naive<'_> {
    async fn publish(&mut self, _count: usize) {
        let (behind, locks) = match self.reads {
            Reads::Everything => (0, ""),
            Reads::BehindACursor => (self.last, ""),
            Reads::PastLockedRows => (0, "FOR UPDATE SKIP LOCKED"),
        };
        let pool = self.stage.database.mysql_pool().unwrap();
        for (id, event) in read(pool, &format!("WHERE id > {behind} ORDER BY id {locks}")).await {
            self.last = self.last.max(id);
            if !self.unsettled.contains(&id) {
                self.unsettled.push(id);
                self.published.push(event);
            }
        }
    }

    async fn settle(&mut self) {
        let ids: Vec<_> = std::mem::take(&mut self.unsettled).iter().map(u64::to_string).collect();
        let rows = match self.deletes {
            Deletes::WhatWasPublished if ids.is_empty() => return,
            Deletes::WhatWasPublished => format!("id IN ({})", ids.join(",")),
            Deletes::UpToTheLast => format!("id <= {}", self.last),
            Deletes::Nothing => return,
        };
        self.stage.execute(&format!("DELETE FROM tidings_outbox WHERE {rows}")).await;
    }

    async fn finish(mut self) -> Vec<Event> {
        for _ in 0..3 {
            self.publish(0).await;
            self.settle().await;
        }
        self.stage.execute("DELETE FROM tidings_outbox").await;
        self.published
    }
}

/// Ids and events of the outbox, by id.
async fn read(from: impl sqlx::Executor<'_, Database = MySql>, which: &str) -> Vec<(u64, Event)> {
    let sql = format!("SELECT id, stream, sequence FROM tidings_outbox FORCE INDEX (tidings_outbox_id) {which}");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(from).await.unwrap();
    let event = |row: &sqlx::mysql::MySqlRow| -> Event {
        (row.get_unchecked("stream"), row.get_unchecked::<String, _>("sequence").parse().unwrap())
    };
    rows.iter().map(|row| (row.get("id"), event(row))).collect()
}

/// An event gets its id, and its transaction commits behind one with a higher id that is published by then.
async fn commits_late(stage: &Stage, mut relay: impl Steps) -> Vec<Event> {
    let mut late = stage.database.mysql_pool().unwrap().begin().await.unwrap();
    let lower = insert(&mut late, "late", 1).await;
    commit(stage, "7").await;
    relay.publish(1).await;
    let higher = read(stage.database.mysql_pool().unwrap(), "ORDER BY id").await[0].0;
    assert!(lower < higher, "auto-increment order is not commit order");
    late.commit().await.unwrap();
    relay.settle().await;
    let mut published = relay.finish().await;
    published.sort();
    published
}

pub(crate) async fn an_event_that_commits_late_is_lost_by_a_cursor_and_by_a_range_delete_and_not_by_the_relay(
    stage: &Stage,
) {
    let cursor = Naive::on(stage, Reads::BehindACursor, Deletes::Nothing);
    assert_eq!(commits_late(stage, cursor).await, events("Account/7", &[1]));
    let cursor = Naive::on(stage, Reads::BehindACursor, Deletes::WhatWasPublished);
    assert_eq!(commits_late(stage, cursor).await, events("Account/7", &[2]));
    let range = Naive::on(stage, Reads::Everything, Deletes::UpToTheLast);
    assert_eq!(commits_late(stage, range).await, events("Account/7", &[3]));
    // The check itself: one without a cursor that deletes what it has published loses nothing.
    let sound = Naive::on(stage, Reads::Everything, Deletes::WhatWasPublished);
    assert_eq!(commits_late(stage, sound).await, [events("Account/7", &[4]), events("Account/late", &[1])].concat());

    let both = [events("Account/7", &[5]), events("Account/late", &[1])].concat();
    assert_eq!(commits_late(stage, Ours::on(stage).await).await, both);
}

/// Somebody has locked the first of three rows: another worker, an operator, a tool that copies the table.
async fn first_is_locked(stage: &Stage, mut relay: impl Steps) -> Vec<u64> {
    for _ in 0..3 {
        commit(stage, "7").await;
    }
    let pool = stage.database.mysql_pool().unwrap();
    let first = read(pool, "ORDER BY id").await[0].0;
    let mut locked = pool.begin().await.unwrap();
    let lock = format!("SELECT id FROM tidings_outbox WHERE bucket = {} AND id = {first} FOR UPDATE", bucket_of("7"));
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *locked).await.unwrap();
    relay.publish(3).await;
    locked.rollback().await.unwrap();
    relay.settle().await;
    relay.finish().await.into_iter().map(|(_, sequence)| sequence).collect()
}

pub(crate) async fn a_row_that_is_locked_is_passed_by_with_skip_locked_and_not_by_the_relay(stage: &Stage) {
    let skips = Naive::on(stage, Reads::PastLockedRows, Deletes::WhatWasPublished);
    assert_eq!(first_is_locked(stage, skips).await, [2, 3, 1]);
    let waits = Naive::on(stage, Reads::Everything, Deletes::WhatWasPublished);
    assert_eq!(first_is_locked(stage, waits).await, [4, 5, 6]);
    assert_eq!(first_is_locked(stage, Ours::on(stage).await).await, [7, 8, 9]);
}

/// Kafka, as one relay reaches it: slowly. Records are taken at once, and written when the way is free.
#[derive(Debug, Clone)]
struct Slow {
    kafka: MemoryProducer,
    taken: Arc<AtomicUsize>,
    written: watch::Sender<usize>,
    free: watch::Receiver<bool>,
}

impl Producer for Slow {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let number = self.taken.fetch_add(1, Ordering::AcqRel);
        let (Self { kafka, written, mut free, .. }, record) = (self.clone(), record.clone());
        let write = async move {
            free.wait_for(|free| *free).await.unwrap();
            // In their order.
            written.subscribe().wait_for(|written| *written == number).await.unwrap();
            let result = kafka.enqueue(&record)?.await;
            written.send_modify(|written| *written += 1);
            result
        };
        Ok(write.boxed())
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        self.kafka.flush(deadline)
    }

    fn purge(&self) {
        self.kafka.purge();
    }
}

pub(crate) async fn workers_that_skip_each_others_rows_reorder_a_stream_and_relays_do_not(stage: &Stage) {
    // A key that the first relay is to give up as soon as there is a second one.
    let key = (0..1_000).map(|key: u32| key.to_string()).find(|key| bucket_of(key) > 127).unwrap();
    let pool = stage.database.mysql_pool().unwrap();
    for _ in 0..3 {
        commit(stage, &key).await;
    }
    let take = "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
    let (mut slow, mut quick) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    let slow_one = read(&mut *slow, take).await;
    let mut published = read(&mut *quick, take).await;
    quick.commit().await.unwrap();
    published.extend(slow_one);
    slow.commit().await.unwrap();
    let sequences: Vec<_> = published.into_iter().map(|(_, (_, sequence))| sequence).collect();
    assert_eq!(sequences, [2, 1], "the quick worker has passed the slow one");

    let (free, taken) = (watch::Sender::new(false), Arc::<AtomicUsize>::default());
    let slow = Slow {
        kafka: stage.kafka.clone(),
        taken: Arc::clone(&taken),
        written: watch::Sender::new(0),
        free: free.subscribe(),
    };
    let relay = |database: &Database, producer: Arc<dyn Producer>| {
        let options = RelayOptions::default().lease_ttl(Duration::from_secs(2));
        Relay::new(database, move || -> Arc<dyn Producer> { Arc::clone(&producer) }).options(options).spawn()
    };
    let elsewhere = stage.elsewhere().await;
    let slow = relay(&stage.database, Arc::new(slow));
    // The others wait behind it until it is known that their topic takes events.
    eventually("the slow relay has the first under way", async || taken.load(Ordering::Acquire) == 1).await;
    let quick = relay(&elsewhere, Arc::new(stage.kafka.clone()));
    let bucket = usize::from(bucket_of(&key));
    eventually("the quick relay has its share, but for what is under way", async || {
        let buckets = status(&stage.database).await.unwrap().buckets;
        let of_slow = buckets.iter().filter(|other| other.owner == buckets[bucket].owner).count();
        of_slow == 129
    })
    .await;
    assert_eq!(stage.published(), [], "the quick relay has no business with them");
    free.send_replace(true);
    eventually("the bucket changes hands", async || {
        let buckets = status(&stage.database).await.unwrap().buckets;
        buckets.iter().filter(|other| other.owner == buckets[0].owner).count() == 128
    })
    .await;
    commit(stage, &key).await;
    stage.until_published(4).await;
    stage.until_empty().await;
    slow.shutdown().await.unwrap();
    quick.shutdown().await.unwrap();
    assert_eq!(stage.published(), events(&format!("Account/{key}"), &[1, 2, 3, 4]));
    elsewhere.close().await;
}

/// A read that shows an event without its predecessor, though that had committed: the predecessor's transaction is still open
/// when the read is made, which cannot be told apart from it.
pub(crate) async fn a_torn_view_is_published_by_who_believes_it_and_looked_at_again_by_the_relay(stage: &Stage) {
    let pool = stage.database.mysql_pool().unwrap();
    let mut naive = Naive::on(stage, Reads::Everything, Deletes::WhatWasPublished);
    let mut torn = pool.begin().await.unwrap();
    insert(&mut torn, "torn", 1).await;
    insert(&mut pool.acquire().await.unwrap(), "torn", 2).await;
    naive.publish(1).await;
    torn.commit().await.unwrap();
    assert_eq!(naive.finish().await, events("Account/torn", &[2, 1]));

    let Place::Server { url, name } = &stage.place else { return };
    let (credentials, rest) = url.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let (line, reads) = a_line_that_holds_reads(address.to_owned()).await;
    let through_it = DatabaseOptions::new(format!("{credentials}@{line}/{name}?ssl-mode=disabled"));
    let through_it = Database::connect(through_it).await.unwrap();
    let relay = stage.relay_of(&through_it);
    // One stream whose predecessors this relay has published itself, and one that it took over.
    commit(stage, "7").await;
    stage.until_published(1).await;
    stage.until_empty().await;
    reads.hold();
    reads.held().await;
    let mut torn = pool.begin().await.unwrap();
    insert(&mut torn, "7", 2).await;
    insert(&mut torn, "8", 41).await;
    for (key, sequence) in [("7", 3), ("8", 42), ("8", 43)] {
        insert(&mut pool.acquire().await.unwrap(), key, sequence).await;
    }
    // The torn view, and nothing after it.
    reads.let_one_pass();
    reads.held().await;
    assert_eq!(stage.published().len(), 1, "{:?}", stage.published());
    torn.commit().await.unwrap();
    reads.release();
    stage.until_published(6).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    through_it.close().await;
    let of = |stream: &str| stage.published().into_iter().filter(|(other, _)| other == stream).collect::<Vec<_>>();
    assert_eq!(of("Account/7"), events("Account/7", &[1, 2, 3]));
    assert_eq!(of("Account/8"), events("Account/8", &[41, 42, 43]));
}
