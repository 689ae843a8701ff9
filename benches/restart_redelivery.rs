//! `restart-redelivery`: a consumer is killed (`SIGKILL`) with one event that never ends and 100,000 done above it, and started
//! again: how many events that were delivered before are delivered again.
//!
//! Ours commits, with the offset, which events above it are done. The reference is the same consumer committing the offset alone
//! (`commit_metadata_bytes` of 0), as clients do: it begins again at the event that never ends. What may be repeated is what was
//! in flight and what was done since the last commit; the target is that bound, at the rate seen.
//!
//! The consumer writes a ledger of starts and ends by itself, a line with one write, so a kill loses none of it.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 100,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 3) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::future;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::child;
use support::consuming::DEAD_LETTERS;
use support::score::ScoreChanged;
use support::{Cluster, Measurement, median, number};
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::schema::Codec;
use tidings::transport::kafka::KafkaOptions;
use tidings::{Message, dispatcher};
use tokio::process::Child;

const TOPIC: &str = "bench-restart-redelivery";
const KEYS: u64 = 2_000;
/// Two handlers a millisecond, about 20,000 events a second: several commits before the kill.
const PAUSE: Duration = Duration::from_millis(5);
const IN_FLIGHT: usize = 128;
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// The player whose event never ends.
const STUCK: i64 = 1_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);
const STARTED: u8 = b's';
const ENDED: u8 = b'e';
/// A ledger's line: what happened, and the offset.
const LINE: usize = 9;

struct Ledger(Arc<File>);

impl Ledger {
    fn write(&self, what: u8, offset: i64) {
        let mut line = [0; LINE];
        line[0] = what;
        line[1..].copy_from_slice(&offset.to_be_bytes());
        (&*self.0).write_all(&line).expect("room in the ledger");
    }
}

#[dispatcher(source = "bench")]
impl Ledger {
    #[on("bench.ScoreChanged", version = "^1", timeout = "1h")]
    async fn on_score_changed(&self, event: ScoreChanged, message: Message) {
        self.write(STARTED, message.offset());
        if event.player == STUCK {
            future::pending::<()>().await;
        }
        tokio::time::sleep(PAUSE).await;
        self.write(ENDED, message.offset());
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let cluster = Cluster::from_environment();
    if child::part().is_some() {
        return consume(&cluster).await;
    }
    let done_before_kill = number("TIDINGS_BENCH_RECORDS", 100_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 3);
    // Some more, so that it is killed in the midst of its work.
    let records = done_before_kill + done_before_kill / 5;
    // One partition: the event that never ends is below all others.
    cluster.recreate_topic(TOPIC, 1).await;
    let stuck = ScoreChanged { player: STUCK, ..ScoreChanged::of(0) };
    let others = (1..records).map(|index| ScoreChanged::of(index % KEYS));
    cluster.fill(TOPIC, &Codec::default(), std::iter::once(stuck).chain(others)).await;

    let (mut ours, mut reference, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let [watermark, framework] =
            [0, 4_096].map(|metadata_bytes| Trial { records, done_before_kill, metadata_bytes });
        let (watermark, framework) = (watermark.run().await, framework.run().await);
        let bound = IN_FLIGHT as f64 + framework.done_per_second * COMMIT_INTERVAL.as_secs_f64();
        eprintln!(
            "round {round}: ours {} again ({} of them done before; at most {bound:.0} expected), by the watermark alone {} \
             ({} done before)",
            framework.delivered_again, framework.done_again, watermark.delivered_again, watermark.done_again
        );
        ours.push(framework.delivered_again as f64);
        reference.push(watermark.delivered_again as f64);
        bounds.push(bound);
    }
    let (ours, reference) = (median(&ours), median(&reference));
    let target = Some(reference / median(&bounds));
    Measurement { name: "restart-redelivery", ours, reference, unit: "redeliveries", target }.report_cost();
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

/// One kill and one restart.
struct Trial {
    records: u64,
    done_before_kill: u64,
    metadata_bytes: usize,
}

#[allow(clippy::struct_field_names, reason = "what was done again is what it is about")]
struct Again {
    /// Started before the kill, and after.
    delivered_again: usize,
    /// Of those, ended before the kill.
    done_again: usize,
    /// Before the kill.
    done_per_second: f64,
}

impl Trial {
    async fn run(&self) -> Again {
        let folder = tempfile::tempdir().expect("a folder for ledgers");
        let group = format!("bench-{}", uuid::Uuid::new_v4());
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));

        let mut consumer = self.start(&group, &first);
        until(&mut consumer, || (length(&first) > 0).then_some(())).await;
        let start = Instant::now();
        // Each done event has two lines.
        let enough = self.done_before_kill * 2 * LINE as u64;
        until(&mut consumer, || (length(&first) >= enough).then_some(())).await;
        let seconds = start.elapsed().as_secs_f64();
        kill(consumer).await;
        let (started, ended) = read(&first);

        let mut consumer = self.start(&group, &second);
        // All but the event that never ends: what is delivered again comes before what is new.
        let all = usize::try_from(self.records).expect("a number of records") - 1;
        let mut length_before = 0;
        let again = until(&mut consumer, || {
            let length_now = length(&second);
            if length_now == 0 || std::mem::replace(&mut length_before, length_now) != length_now {
                return None;
            }
            let (started, ended_again) = read(&second);
            let idle = started.len() == ended_again.len() + 1;
            (idle && ended.union(&ended_again).count() == all).then_some(started)
        });
        let again = again.await;
        kill(consumer).await;
        Again {
            delivered_again: again.intersection(&started).count(),
            done_again: again.intersection(&ended).count(),
            done_per_second: ended.len() as f64 / seconds,
        }
    }

    fn start(&self, group: &str, ledger: &Path) -> Child {
        let words = [
            ("GROUP", group.to_owned()),
            ("LEDGER", ledger.to_str().expect("a path of text").to_owned()),
            ("METADATA_BYTES", self.metadata_bytes.to_string()),
        ];
        child::start("consumer", &words)
    }
}

/// The consumer's process: it goes on until it is killed.
async fn consume(cluster: &Cluster) {
    let group = child::told("GROUP");
    // A static member: started again it has its partition at once, instead of when the dead one's session has ended.
    let kafka = KafkaOptions::new(cluster.brokers()).property("group.instance.id", "one");
    let options = ConsumerOptions::new("bench")
        .kafka(kafka)
        .dead_letter_topic(DEAD_LETTERS)
        .max_in_flight(IN_FLIGHT)
        .commit_interval(COMMIT_INTERVAL)
        .commit_metadata_bytes(child::told("METADATA_BYTES").parse().expect("a number of bytes"));
    let ledger = OpenOptions::new().create(true).append(true).open(child::told("LEDGER")).expect("a ledger");
    let consumer = Consumer::builder(options)
        .dispatch_with(Ledger(Arc::new(ledger)), |settings| settings.source(TOPIC).group(group))
        .build()
        .await
        .expect("a consumer");
    consumer.run().await.expect("the consumer is killed, it does not end");
}

/// Resolves when `look` finds what it looks for.
async fn until<T>(consumer: &mut Child, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        let ended = consumer.try_wait().expect("the state of a process");
        assert!(ended.is_none(), "the consumer's process ended by itself: {ended:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// `SIGKILL`.
async fn kill(mut consumer: Child) {
    consumer.kill().await.expect("a process that can be killed");
}

fn length(ledger: &Path) -> u64 {
    fs::metadata(ledger).map_or(0, |metadata| metadata.len())
}

/// The offsets started and ended.
fn read(ledger: &Path) -> (HashSet<i64>, HashSet<i64>) {
    let bytes = fs::read(ledger).unwrap_or_default();
    let (mut started, mut ended) = (HashSet::new(), HashSet::new());
    for line in bytes.chunks_exact(LINE) {
        let offset = i64::from_be_bytes(line[1..].try_into().expect("eight bytes"));
        let set = if line[0] == STARTED { &mut started } else { &mut ended };
        set.insert(offset);
    }
    (started, ended)
}
