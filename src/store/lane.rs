//! Group commit: what waits for a lane is appended in one transaction.
//!
//! A stream always goes through the same lane, so its events never overtake each other in this process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::append::{Append, Appended, Relayed};
use super::awaited::Awaited;
use super::event::NewEvent;
use super::room::Seat;
use super::tables::AppendTransaction;
use super::{Refusal, StoreError, StoreOptions};
use crate::database::open::CommitFailure;
use crate::database::{Database, Failure};
use crate::fault_point;
use crate::outbox::bucket_of;
use crate::telemetry::names;

/// How often a batch is tried: others began its streams, or the database chose it as a deadlock's victim.
const MAX_ATTEMPTS: u32 = 10;

/// How long the database may take for a transaction before its connection is taken for dead.
pub(super) const SILENCE: Duration = Duration::from_secs(15);

/// How long a lane that failed is not taken for a working one.
const TROUBLE: Duration = Duration::from_secs(10);

/// What a lane is asked for.
pub(super) enum Work {
    Append(Append, oneshot::Sender<Result<Appended, StoreError>>),
    Relay(Vec<NewEvent>, oneshot::Sender<Result<Vec<Relayed>, StoreError>>),
}

/// Work that waits.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) deadline: Option<Instant>,
    /// Given back when the job is done.
    pub(super) _seat: Arc<Seat>,
}

/// The answer to one job.
enum Answer {
    Append(Result<Appended, Refusal>),
    Relay(Vec<Relayed>),
}

impl Work {
    fn events(&self) -> &[NewEvent] {
        match self {
            Self::Append(append, _) => &append.events,
            Self::Relay(events, _) => events,
        }
    }

    fn reply(self, answer: Result<Answer, StoreError>) {
        // Whoever asked may have gone.
        match (self, answer) {
            (Self::Append(_, reply), Ok(Answer::Append(result))) => drop(reply.send(result.map_err(Into::into))),
            (Self::Relay(_, reply), Ok(Answer::Relay(results))) => drop(reply.send(Ok(results))),
            (Self::Append(_, reply), Err(error)) => drop(reply.send(Err(error))),
            (Self::Relay(_, reply), Err(error)) => drop(reply.send(Err(error))),
            (Self::Append(..), Ok(Answer::Relay(_))) | (Self::Relay(..), Ok(Answer::Append(_))) => {}
        }
    }
}

/// How a lane gets on, for the health that is reported: when the database last lost or refused what it was given, if it has taken nothing
/// since.
#[derive(Debug, Default)]
pub(super) struct LaneProgress(Mutex<Option<Instant>>);

impl LaneProgress {
    /// Whether nothing failed a moment ago. Whoever is asked for nothing cannot find out that it works again, so it counts for a while.
    pub(super) fn is_fine(&self) -> bool {
        self.0.lock().is_none_or(|at| at.elapsed() >= TROUBLE)
    }

    fn succeeded(&self) {
        *self.0.lock() = None;
    }

    /// An attempt failed. That others were first, or hold a stream, says nothing of the database; nor does a value that it does not take.
    fn failed(&self, error: &sqlx::Error) {
        let is_usual = matches!(Failure::of(error), Failure::Conflict | Failure::Duplicate) || is_about_a_job(error);
        if !is_usual {
            *self.0.lock() = Some(Instant::now());
        }
    }
}

/// One lane: a transaction at a time.
pub(super) struct Lane {
    pub(super) database: Database,
    pub(super) options: StoreOptions,
    pub(super) progress: Arc<LaneProgress>,
    /// Told of every commit.
    pub(super) appended: watch::Sender<u64>,
    /// Told of every event.
    pub(super) awaited: Arc<Awaited>,
}

impl Lane {
    /// Work until nobody can ask any more.
    pub(super) async fn run(self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut held = None;
        loop {
            let first = match held.take() {
                Some(job) => job,
                None => match jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let mut batch = Vec::new();
            let (mut events, mut bytes) = (0, 0);
            let mut next = Some(first);
            while let Some(job) = next {
                if job.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    job.work.reply(Err(StoreError::Deadline));
                } else {
                    let (more, size) =
                        (job.work.events().len(), job.work.events().iter().map(NewEvent::bytes).sum::<usize>());
                    let full =
                        events + more > self.options.max_batch_events || bytes + size > self.options.max_batch_bytes;
                    if full && !batch.is_empty() {
                        held = Some(job);
                        break;
                    }
                    (events, bytes) = (events + more, bytes + size);
                    batch.push(job);
                }
                next = jobs.try_recv().ok();
            }
            self.work_off(batch).await;
        }
    }

    /// Append a batch; where the database refuses it as a whole, job by job, so that one spoils nothing for the others.
    async fn work_off(&self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        match self.append(&batch).await {
            Ok(answers) => {
                for (job, answer) in batch.into_iter().zip(answers) {
                    job.work.reply(Ok(answer));
                }
            }
            Err(error) if is_about_a_job(&error) => match <[Job; 1]>::try_from(batch) {
                Ok([job]) => reply_one(job, Err(error)),
                Err(batch) => {
                    for job in batch {
                        let job = [job];
                        let answer = self.append(&job).await;
                        let [job] = job;
                        reply_one(job, answer);
                    }
                }
            },
            Err(error) => {
                tracing::warn!(%error, "events could not be appended");
                let error = Arc::new(error);
                for job in batch {
                    job.work.reply(Err(StoreError::Unavailable(Box::new(Arc::clone(&error)))));
                }
            }
        }
    }

    async fn append(&self, jobs: &[Job]) -> Result<Vec<Answer>, sqlx::Error> {
        let mut attempt = 0;
        loop {
            let error = match tokio::time::timeout(SILENCE, self.try_append(jobs)).await {
                Ok(Ok(answers)) => {
                    self.progress.succeeded();
                    return Ok(answers);
                }
                Ok(Err(error)) => error,
                // Its connection goes with it.
                Err(_) => io::Error::from(io::ErrorKind::TimedOut).into(),
            };
            self.progress.failed(&error);
            attempt += 1;
            // A duplicate is a stream or an event that another replica was first with: it is found the next time. An answer to
            // COMMIT that was lost shows the next time, too: events are recognised by their ids.
            let again = matches!(Failure::of(&error), Failure::Conflict | Failure::ConnectionLost | Failure::Duplicate);
            if !again || attempt >= MAX_ATTEMPTS {
                return Err(error);
            }
            metrics::counter!(names::STORE_RETRIES).increment(1);
            let longest = Duration::from_millis(1 << attempt.min(7));
            let pause = rand::rng().random_range(Duration::ZERO..=longest);
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_append(&self, jobs: &[Job]) -> Result<Vec<Answer>, sqlx::Error> {
        fault_point::reach("before append");
        let events: Vec<&NewEvent> = jobs.iter().flat_map(|job| job.work.events()).collect();
        let mut transaction = AppendTransaction::begin(&self.database.pool).await?;
        let mut judge = match transaction.judge(&events).await {
            Ok(judge) => judge,
            Err(error) => {
                transaction.roll_back().await;
                return Err(error);
            }
        };
        let answers = jobs.iter().map(|job| match &job.work {
            Work::Append(append, _) => Answer::Append(judge.append(append)),
            Work::Relay(events, _) => Answer::Relay(events.iter().map(|event| judge.relay(event)).collect()),
        });
        let answers: Vec<_> = answers.collect();
        let changes = judge.changes();
        if changes.events.is_empty() {
            transaction.roll_back().await;
            return Ok(answers);
        }
        fault_point::reach("before store commit");
        transaction.commit(&changes, self.options.forward).await.map_err(CommitFailure::into_source)?;
        fault_point::reach("after store commit");
        if self.options.forward {
            self.database.wake.committed(changes.events.iter().map(|event| bucket_of(&event.envelope.key)));
        }
        let stored = changes.events.len() as u64;
        metrics::counter!(names::STORE_APPENDED).increment(stored);
        self.appended.send_modify(|total| *total += stored);
        self.awaited.stored(changes.events.iter().map(NewEvent::id));
        Ok(answers)
    }
}

fn reply_one(job: Job, answer: Result<Vec<Answer>, sqlx::Error>) {
    match answer.map(|mut answers| answers.pop()) {
        Ok(Some(answer)) => job.work.reply(Ok(answer)),
        Ok(None) => job.work.reply(Err(StoreError::Closed)),
        Err(error) if is_about_a_job(&error) => {
            // What the database says may name its tables: it stays here.
            tracing::warn!(%error, "an event has a value that the database does not take");
            let reason = "the store's database does not take one of its values; the store's log says which".to_owned();
            job.work.reply(Err(StoreError::Invalid { reason }));
        }
        Err(error) => job.work.reply(Err(StoreError::Unavailable(Box::new(error)))),
    }
}

/// Whether the database refuses a value it was given, and would refuse it again: `SQLSTATE` 22, a data exception. Anything else,
/// a server that has become read-only among it, may pass, and must not make a relay give events up.
fn is_about_a_job(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code.starts_with("22"))
}

#[cfg(test)]
mod tests;
