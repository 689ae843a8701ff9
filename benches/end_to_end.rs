//! `end-to-end`: from a transaction's commit to the handler that has the event, in each of the three modes, with relay, event store and
//! consumer in one process, on real Kafka and MySQL. The event store is served over gRPC, on a port of the loopback.
//!
//! Transactions are begun on a steady schedule; the time runs from when the commit was acknowledged to when the handler starts. The
//! reference is what is written by hand without a guarantee: a row inserted in a transaction, its event handed to a bare `rdkafka`
//! producer behind the commit, and a bare consumer that decodes it. What a crash between the two loses is lost.
//!
//! Needs `TIDINGS_TEST_BROKERS` and `TIDINGS_TEST_DATABASE`; `make bench` sets them. `TIDINGS_BENCH_SECONDS` (default 8) and
//! `TIDINGS_BENCH_RATES` (default `100,1000`: transactions of one event a second) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, clippy::cast_precision_loss, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::Message as _;
use support::consuming::{DEAD_LETTERS, consume, options};
use support::offering::Offering;
use support::outbox::{Ground, event};
use support::score::ScoreChanged;
use support::{Cluster, LatencyMeasurement, Quantiles, bare, number};
use tidings::database::sqlx;
use tidings::database::{Database, Error};
use tidings::dispatcher;
use tidings::outbox::{KafkaProducers, Relay, RelayHandle, RelayOptions};
use tidings::publisher::{Acks, DeliveryMode, Publisher, PublisherOptions};
use tidings::store::{
    DatabaseStore, ServiceOptions, StoreClient, StoreClientOptions, StoreError, StoreOptions, StoreProducers,
    StoreService,
};
use tidings::transport::kafka::KafkaOptions;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const TOPIC: &str = "bench-end-to-end";
const PARTITIONS: i32 = 8;
const PLAYERS: u64 = 10_000;
const WRITERS: u32 = 32;
/// Seconds at the beginning that are not measured.
const WARM_UP: u64 = 2;
const MODES: [(&str, DeliveryMode); 3] = [
    ("end-to-end, direct", DeliveryMode::Direct { acks: Acks::All }),
    ("end-to-end, outbox", DeliveryMode::Outbox),
    ("end-to-end, store", DeliveryMode::Store),
];

/// When each event was committed and seen, in nanoseconds since the beginning; 0 where it was not yet.
struct Moments {
    began: Instant,
    committed: Vec<AtomicU64>,
    seen: Vec<AtomicU64>,
    left: AtomicU64,
}

impl Moments {
    fn new(count: u64) -> Arc<Self> {
        let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { began: Instant::now(), committed: zeros(), seen: zeros(), left: AtomicU64::new(count) })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("a short run")
    }

    /// A handler has started.
    fn see(&self, event: &ScoreChanged) {
        let now = self.now();
        let place = &self.seen[usize::try_from(event.score).expect("an index")];
        // A repeat is not seen anew.
        if place.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.left.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn left(&self) -> u64 {
        self.left.load(Ordering::Acquire)
    }

    async fn until_all_seen(&self) {
        let (mut last, mut since) = (self.left(), Instant::now());
        while last > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let left = self.left();
            if left != last {
                (last, since) = (left, Instant::now());
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{left} events were not seen within a minute");
        }
    }

    fn quantiles(&self, skip: u64) -> Quantiles {
        let mut histogram = Histogram::<u64>::new(3).expect("a histogram");
        let skip = usize::try_from(skip).expect("an index");
        for (committed, seen) in self.committed.iter().zip(&self.seen).skip(skip) {
            // The handler may be faster than the answer to the commit.
            let latency = seen.load(Ordering::Acquire).saturating_sub(committed.load(Ordering::Acquire));
            histogram.record(latency.max(1)).expect("a recordable time");
        }
        Quantiles::of(&histogram)
    }
}

struct Seen(Arc<Moments>);

#[dispatcher(source = "bench")]
impl Seen {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, event: ScoreChanged) {
        self.0.see(&event);
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let seconds = number("TIDINGS_BENCH_SECONDS", 8);
    let rates = std::env::var("TIDINGS_BENCH_RATES").unwrap_or_else(|_| "100,1000".to_owned());
    let cluster = Cluster::from_environment();
    for rate in rates.split(',') {
        let per_second = rate.trim().parse().expect("TIDINGS_BENCH_RATES holds whole numbers with commas between");
        let count = per_second * (seconds + WARM_UP);
        let (reference, _) = by_hand(&cluster, per_second, count).await;
        for (name, mode) in MODES {
            let (ours, committed) = ours(&cluster, mode, per_second, count).await;
            LatencyMeasurement {
                name,
                offered_per_second: per_second,
                committed_per_second: Some(committed),
                ours,
                reference,
                target: None,
            }
            .report();
        }
    }
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

/// An event store with a database of its own, served until it is told to end.
struct Store {
    ground: Ground,
    database: Database,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), StoreError>>,
}

impl Store {
    async fn serve() -> Self {
        let ground = Ground::new().await;
        let database = ground.database(WRITERS).await;
        DatabaseStore::migrate(&database).await.expect("the store's tables");
        let store = DatabaseStore::open(&database, StoreOptions::default()).await.expect("a store");
        let options = ServiceOptions::new(([127, 0, 0, 1], 0).into());
        let service = StoreService::bind(store, options).await.expect("a port");
        let address = service.address().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(service.run(async move { drop(stopped.await) }));
        Self { ground, database, address, stop, serving }
    }

    async fn client(&self) -> StoreClient {
        let options = StoreClientOptions::new(format!("http://{}", self.address));
        StoreClient::new(options).await.expect("a client")
    }

    async fn end(self) {
        drop(self.stop);
        self.serving.await.expect("a service").expect("a service that ends in order");
        self.database.close().await;
        self.ground.clear().await;
    }
}

/// The latencies, and how many transactions were committed a second.
async fn ours(cluster: &Cluster, mode: DeliveryMode, per_second: u64, count: u64) -> (Quantiles, f64) {
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    let moments = Moments::new(count);
    let ground = Ground::new().await;
    let kafka = KafkaOptions::new(cluster.brokers());
    let publisher = Publisher::builder(PublisherOptions::new(TOPIC).kafka(kafka).mode(mode));
    let publisher = publisher.build().await.expect("a publisher");
    let database = ground.database(WRITERS).await.with_publisher(&publisher);

    let (mut relays, mut store) = (Vec::new(), None);
    match mode {
        DeliveryMode::Outbox => relays.push(to_kafka(&database, cluster)),
        DeliveryMode::Store => {
            let served = Store::serve().await;
            relays.push(to_kafka(&served.database, cluster));
            let producers = StoreProducers::new(Arc::new(served.client().await));
            relays.push(Relay::new(&database, producers).options(relay_options()).spawn());
            store = Some(served);
        }
        _ => {}
    }

    let handling = {
        let (cluster, moments) = (cluster.clone(), Arc::clone(&moments));
        tokio::spawn(async move {
            let all = Arc::clone(&moments);
            consume(options(&cluster), TOPIC, Seen(moments), async move { all.until_all_seen().await }).await
        })
    };
    let writing = database.clone();
    let committed = offer(&moments, per_second, count, move |index| {
        let database = writing.clone();
        async move {
            let committed = database.transaction(async |tx| {
                tx.publish(&event(index % PLAYERS, index));
                Ok::<_, Error>(())
            });
            committed.await.expect("a transaction");
        }
    })
    .await;
    handling.await.expect("a consumer that gets on");

    for relay in relays.into_iter().rev() {
        relay.shutdown().await.expect("a relay that ends in order");
    }
    publisher.close(Duration::from_secs(10)).await;
    if let Some(store) = store {
        store.end().await;
    }
    database.close().await;
    ground.clear().await;
    (moments.quantiles(per_second * WARM_UP), committed)
}

fn to_kafka(database: &Database, cluster: &Cluster) -> RelayHandle {
    let producers = KafkaProducers::new(KafkaOptions::new(cluster.brokers())).topic(TOPIC);
    Relay::new(database, producers).options(relay_options()).spawn()
}

fn relay_options() -> RelayOptions {
    RelayOptions::default().check_durability(false)
}

async fn by_hand(cluster: &Cluster, per_second: u64, count: u64) -> (Quantiles, f64) {
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    let moments = Moments::new(count);
    let ground = Ground::new().await;
    let database = ground.database(WRITERS).await;
    ground.execute(&database, "CREATE TABLE score (id BIGINT PRIMARY KEY, note VARCHAR(600) NOT NULL)").await;
    let pool = database.mysql_pool().expect("MySQL").clone();
    let offering = Arc::new(Offering::new(cluster, TOPIC, Instant::now()).await);
    let seeing = {
        let (cluster, moments) = (cluster.clone(), Arc::clone(&moments));
        tokio::task::spawn_blocking(move || see(&cluster, &moments))
    };
    let seen = Arc::clone(&moments);
    let committed = offer(&moments, per_second, count, move |index| {
        let (pool, offering, moments) = (pool.clone(), Arc::clone(&offering), Arc::clone(&seen));
        async move {
            let event = event(index % PLAYERS, index);
            let mut transaction = pool.begin().await.expect("a transaction");
            let insert = sqlx::query("INSERT INTO score (id, note) VALUES (?, ?)").bind(event.score).bind(&event.note);
            insert.execute(&mut *transaction).await.expect("a row");
            transaction.commit().await.expect("a commit");
            moments.committed[usize::try_from(index).expect("an index")].store(moments.now(), Ordering::Release);
            offering.send_one(&event);
        }
    })
    .await;
    seeing.await.expect("a consumer that gets on");
    database.close().await;
    ground.clear().await;
    (moments.quantiles(per_second * WARM_UP), committed)
}

/// Do `act` for each index, when it is due, and note when it was done, unless it has noted that itself. How many were done a second.
async fn offer<F, Fut>(moments: &Arc<Moments>, per_second: u64, count: u64, act: F) -> f64
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    // The relays have their buckets, and the consumer its place.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (moments, next, act) = (Arc::clone(moments), Arc::clone(&next), act.clone());
            tokio::spawn(async move {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= count {
                        return;
                    }
                    let due = start + Duration::from_nanos(turn * 1_000_000_000 / per_second);
                    tokio::time::sleep_until(due.into()).await;
                    act(turn).await;
                    let committed = &moments.committed[usize::try_from(turn).expect("an index")];
                    let _ = committed.compare_exchange(0, moments.now(), Ordering::AcqRel, Ordering::Acquire);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer that gets on");
    }
    let done = count as f64 / start.elapsed().as_secs_f64();
    eprintln!("{done:.0} of {per_second} a second");
    done
}

fn see(cluster: &Cluster, moments: &Moments) {
    let schema = bare::schema();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("a reader");
    let consumer = bare::consumer(cluster, TOPIC);
    let mut last = Instant::now();
    while moments.left() > 0 && last.elapsed() < Duration::from_mins(1) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        let payload = message.payload().expect("a payload");
        moments.see(&reader.read_deser(&mut &payload[5..]).expect("a payload that decodes"));
        last = Instant::now();
    }
    assert_eq!(moments.left(), 0, "events were not seen within a minute");
}
