//! What a lane makes of what waits for it.
#![cfg(feature = "sqlite")]

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;

use super::*;
use crate::database::DatabaseOptions;
use crate::event::Stream;
use crate::store::event::tests::event;
use crate::store::room::{Amount, Room};
use crate::store::{DatabaseStore, ExpectedVersion};

/// A lane that does not work yet, with what waits for it, and how often its database has committed.
struct Rig {
    lane: Lane,
    jobs: mpsc::UnboundedSender<Job>,
    waiting: mpsc::UnboundedReceiver<Job>,
    commits: Arc<AtomicU32>,
}

impl Rig {
    async fn new(options: StoreOptions) -> Self {
        // In memory there is one connection.
        let database = Database::connect(DatabaseOptions::new("sqlite::memory:").migrate(true)).await.unwrap();
        DatabaseStore::migrate(&database).await.unwrap();
        let commits = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&commits);
        let mut connection = database.sqlite_pool().unwrap().acquire().await.unwrap();
        connection.lock_handle().await.unwrap().set_commit_hook(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        });
        drop(connection);
        let (jobs, waiting) = mpsc::unbounded_channel();
        let lane = Lane {
            database,
            options: options.bounded(),
            progress: Arc::default(),
            appended: watch::Sender::new(0),
            awaited: Arc::default(),
        };
        Self { lane, jobs, waiting, commits }
    }

    /// Let one event of a stream wait; its answer.
    fn ask(&self, stream: usize, deadline: Option<Instant>) -> oneshot::Receiver<Result<Appended, StoreError>> {
        let seat = Room::new(1, 1).take(Amount { events: 1, bytes: 1 }).unwrap();
        let (reply, answer) = oneshot::channel();
        let work = Work::Append(Append::new([new_event(stream)], ExpectedVersion::Any), reply);
        let job = Job { work, deadline, _seat: Arc::new(seat) };
        self.jobs.send(job).unwrap_or_else(|_| panic!("the lane is gone"));
        answer
    }

    /// Do what waits, and nothing else. How many transactions that took.
    async fn work(self) -> u32 {
        drop(self.jobs);
        self.lane.run(self.waiting).await;
        self.commits.load(Ordering::Relaxed)
    }
}

fn new_event(stream: usize) -> NewEvent {
    let mut event = event(chrono::DateTime::UNIX_EPOCH);
    event.envelope.stream = Stream::new("Account", &stream.to_string());
    event.envelope.sequence = None;
    event
}

fn options() -> StoreOptions {
    StoreOptions::default().forward(false)
}

#[tokio::test]
async fn all_that_waits_for_a_lane_is_appended_in_one_transaction() {
    let rig = Rig::new(options()).await;
    let answers: Vec<_> = (0..50).map(|number| rig.ask(number % 7, None)).collect();
    assert_eq!(rig.work().await, 1);
    let mut last = [0; 7];
    for (number, answer) in join_all(answers).await.into_iter().enumerate() {
        last[number % 7] += 1;
        assert_eq!(answer.unwrap().unwrap().last.sequence, last[number % 7]);
    }
}

#[tokio::test]
async fn a_transaction_has_no_more_events_and_bytes_than_the_options_say() {
    let rig = Rig::new(options().max_batch_events(20)).await;
    let answers: Vec<_> = (0..50).map(|number| rig.ask(number, None)).collect();
    assert_eq!(rig.work().await, 3);
    assert!(join_all(answers).await.into_iter().all(|answer| answer.unwrap().is_ok()));

    // Room for six of them, and not for seven.
    let bytes = new_event(0).bytes();
    let rig = Rig::new(options().max_batch_bytes(6 * bytes + bytes / 2)).await;
    let answers: Vec<_> = (0..50).map(|number| rig.ask(number % 10, None)).collect();
    assert_eq!(rig.work().await, 9);
    assert!(join_all(answers).await.into_iter().all(|answer| answer.unwrap().is_ok()));
}

#[tokio::test]
async fn an_append_that_is_larger_than_a_transaction_may_be_has_one_of_its_own() {
    let rig = Rig::new(options().max_batch_bytes(1)).await;
    let answers: Vec<_> = (0..3).map(|number| rig.ask(number, None)).collect();
    assert_eq!(rig.work().await, 3);
    assert!(join_all(answers).await.into_iter().all(|answer| answer.unwrap().is_ok()));
}

#[tokio::test]
async fn what_waited_past_its_deadline_is_told_so_and_is_not_appended() {
    let rig = Rig::new(options()).await;
    let (late, good) = (rig.ask(1, Some(Instant::now())), rig.ask(1, None));
    assert_eq!(rig.work().await, 1);
    assert!(matches!(late.await.unwrap(), Err(StoreError::Deadline)));
    assert_eq!(good.await.unwrap().unwrap().last.sequence, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lane_whose_database_failed_a_moment_ago_is_not_fine() {
    let progress = LaneProgress::default();
    progress.failed(&io::Error::from(io::ErrorKind::TimedOut).into());
    assert!(!progress.is_fine());
    progress.succeeded();
    assert!(progress.is_fine());
    progress.failed(&sqlx::Error::PoolTimedOut);
    assert!(!progress.is_fine());
    tokio::time::advance(TROUBLE).await;
    assert!(progress.is_fine());
}
