//! Load, members that handle it, and what became of it all.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tidings::publisher::{Acks, PendingReceipt, PublishError, Publisher, PublisherOptions};
use tokio::task::JoinHandle;

use crate::journal::JournalFile;
use crate::plant::Plant;
use crate::support::chance::tell;
use crate::support::child::Child;
use crate::support::groups::caught_up;
use crate::support::ledger::Audit;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, posted};
use crate::support::wait::until_true;

/// How much there is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) players: i64,
    /// Events of each player that are published at least; publishing goes on while the faults do.
    pub(crate) serials: i64,
    /// How many rounds of faults.
    pub(crate) faults: usize,
    pub(crate) work: Duration,
}

impl Size {
    /// For every run of the tests.
    pub(crate) const SHORT: Self = Self { players: 100, serials: 60, faults: 3, work: Duration::from_micros(500) };
    /// At least 200,000 events.
    pub(crate) const LONG: Self = Self { players: 400, serials: 520, faults: 25, work: Duration::from_micros(500) };
}

/// How often each player's next score is posted.
const PACE: Duration = Duration::from_millis(20);

/// A topic under load, and a group that reads it.
pub(crate) struct Storm {
    pub(crate) scene: Scene,
    pub(crate) size: Size,
    plant: Plant,
    journal: JournalFile,
    over: Arc<AtomicBool>,
    load: JoinHandle<i64>,
    began: Instant,
}

impl Storm {
    /// Begin to publish: each player's scores 1, 2, 3…, until [`calm`](Self::calm) is called and there are enough of them.
    pub(crate) async fn begin(size: Size) -> Self {
        Self::planted(size, Plant::Nothing).await
    }

    /// The same, with members that do `plant`.
    pub(crate) async fn planted(size: Size, plant: Plant) -> Self {
        let scene = Scene::new(8).await;
        // A broker that is away is waited for, however long it takes to start on a busy machine.
        let patient = kafka().property("delivery.timeout.ms", "180000");
        let options = PublisherOptions::new(scene.topic()).kafka(patient);
        let publisher = Publisher::builder(options).codec(codec()).build().await.unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let load = tokio::spawn(load(publisher, size, Arc::clone(&over)));
        Self { scene, size, plant, journal: JournalFile::new(), over, load, began: Instant::now() }
    }

    pub(crate) fn group(&self) -> String {
        self.scene.name("storm")
    }

    /// A member, in a process of its own.
    pub(crate) fn member(&self) -> Child {
        let journal = self.journal.path();
        Child::start(
            "member",
            &[
                ("TOPIC", &self.scene.topic()),
                ("GROUP", &self.group()),
                ("JOURNAL", journal.to_str().unwrap()),
                ("WORK_MICROSECONDS", &self.size.work.as_micros().to_string()),
                ("PLANT", self.plant.name()),
            ],
        )
    }

    /// Wait until `member` says that it has `partitions`; with 1, until it has any.
    pub(crate) fn partitions_of(member: &Child, partitions: usize) {
        loop {
            let line = tokio::task::block_in_place(|| member.line());
            let has: usize = line.strip_suffix(" partitions").and_then(|number| number.parse().ok()).unwrap_or(0);
            if has == partitions || (partitions == 1 && has > 0) {
                return;
            }
        }
    }

    /// Wait until `more` further effects were written down.
    pub(crate) async fn progress(&self, more: u64) {
        let lines = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        // A line is at least four bytes.
        let goal = lines(&self.journal.path()) + more * 8;
        until_true("members go on", || lines(&self.journal.path()) >= goal).await;
    }

    /// Stop the load, let `members` finish, and count what came of so many `faults`.
    pub(crate) async fn calm(self, what: &str, faults: usize, members: Vec<Child>) -> Tally {
        self.over.store(true, Ordering::Release);
        let serials = self.load.await.unwrap();
        caught_up(&self.scene, &self.scene.name("storm")).await;
        for member in members {
            member.terminate();
            assert!(member.ended().success(), "a member failed");
        }
        let (ledger, effects) = self.journal.ledger();
        let published = self.size.players * serials;
        let audit = ledger.audit(&posted(self.size.players, serials));
        let each = audit.repeated / faults.max(1);
        let tally = Tally { published, effects, audit };
        tell(&format!("{what} {faults} times: {tally:?}, {each} repeats each, in {:.0?}", self.began.elapsed()));
        tally
    }
}

/// What a storm left.
#[derive(Debug)]
#[allow(dead_code, reason = "told, not read")]
pub(crate) struct Tally {
    pub(crate) published: i64,
    pub(crate) effects: usize,
    pub(crate) audit: Audit,
}

impl Tally {
    /// Nothing is lost, nothing came out of order; repeats are counted.
    pub(crate) fn assert_sound(&self) {
        assert_eq!((self.audit.lost, self.audit.out_of_order, self.audit.invented), (0, 0, 0), "{self:?}");
    }
}

/// A broker that is away is waited for: the client sends again by itself. One that has just started may not know the topic yet, and the
/// client gives up at once.
async fn until_written(publisher: &Publisher, event: ScorePosted, taken: Result<PendingReceipt, PublishError>) {
    let mut written = match taken {
        Ok(receipt) => receipt.await.map(drop),
        Err(error) => Err(error),
    };
    while let Err(error) = written {
        assert!(matches!(&error, PublishError::NotWritten { source, .. } if source.is_retryable()), "{error:?}");
        tokio::time::sleep(PACE).await;
        written = publisher.send(&event, Acks::All).await.map(drop);
    }
}

async fn load(publisher: Publisher, size: Size, over: Arc<AtomicBool>) -> i64 {
    let mut serial = 0;
    let mut pace = tokio::time::interval(PACE);
    loop {
        serial += 1;
        let mut sent = Vec::new();
        for player in 0..size.players {
            let event = ScorePosted::new(player, serial);
            let taken = publisher.enqueue(&event, Acks::All).await;
            sent.push(until_written(&publisher, event, taken));
        }
        // A player's next score is posted behind this one.
        join_all(sent).await;
        if over.load(Ordering::Acquire) && serial >= size.serials {
            return serial;
        }
        pace.tick().await;
    }
}
