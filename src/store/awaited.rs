//! Events that somebody waits for. What is appended here is told at once; for what other replicas append, one waiter at a time asks for
//! all of them: if each asked at every commit, hundreds of waiters would ask tens of thousands of times a second.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::lane::SILENCE;
use crate::database::bounded::within;

/// How often other replicas' events are looked for, at most.
const LOOK: Duration = Duration::from_millis(100);
/// How long a waiter waits before it looks at all: it has just asked for its own.
const FIRST_LOOK: Duration = Duration::from_millis(5);
/// The most ids of one query.
const IDS_A_QUERY: usize = 500;

/// An error reaches everybody who waits.
type Answer = Result<(), Arc<sqlx::Error>>;

/// Who waits for which events.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    waiters: Mutex<Waiters>,
    /// Whose turn it is to look, and when somebody last did.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Waiters {
    of: HashMap<Uuid, Vec<(u64, oneshot::Sender<Answer>)>>,
    next: u64,
}

/// One who waits, until dropped.
struct Waiter<'a> {
    awaited: &'a Awaited,
    id: Uuid,
    number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Awaited {
    /// Resolves when the event `id` is stored. Of ids that it is given, `find` returns those that are.
    pub(super) async fn wait<F, A>(&self, id: Uuid, find: F) -> Answer
    where
        F: Fn(Vec<Uuid>) -> A,
        A: Future<Output = Result<Vec<Uuid>, sqlx::Error>>,
    {
        // Before it asks: what is appended in between is told.
        let mut waiter = self.register(id);
        if !find(vec![id]).await.map_err(Arc::new)?.is_empty() {
            return Ok(());
        }
        let earliest = Instant::now() + FIRST_LOOK;
        loop {
            tokio::select! {
                biased;
                Ok(answer) = &mut waiter.answer => return answer,
                mut looked = self.turn(earliest) => {
                    *looked = Some(Instant::now());
                    // Others wait for what it finds, so it does not leave off when its own event comes.
                    self.look(&find).await;
                }
            }
        }
    }

    /// These events are stored.
    pub(super) fn stored(&self, ids: impl IntoIterator<Item = Uuid>) {
        let waiters = &mut *self.waiters.lock();
        if waiters.of.is_empty() {
            return;
        }
        for (_, answer) in ids.into_iter().filter_map(|id| waiters.of.remove(&id)).flatten() {
            // Whoever waited may have gone.
            let _ = answer.send(Ok(()));
        }
    }

    async fn turn(&self, earliest: Instant) -> tokio::sync::MutexGuard<'_, Option<Instant>> {
        let looked = self.turn.lock().await;
        let due = looked.map_or(earliest, |looked| earliest.max(looked + LOOK));
        tokio::time::sleep_until(due).await;
        looked
    }

    async fn look<F, A>(&self, find: &F)
    where
        F: Fn(Vec<Uuid>) -> A,
        A: Future<Output = Result<Vec<Uuid>, sqlx::Error>>,
    {
        let ids: Vec<Uuid> = self.waiters.lock().of.keys().copied().collect();
        for ids in ids.chunks(IDS_A_QUERY) {
            match within(SILENCE, find(ids.to_vec())).await {
                Ok(found) => self.stored(found),
                Err(error) => return self.fail(error),
            }
        }
    }

    fn fail(&self, error: sqlx::Error) {
        let error = Arc::new(error);
        for (_, answer) in self.waiters.lock().of.drain().flat_map(|(_, answers)| answers) {
            let _ = answer.send(Err(Arc::clone(&error)));
        }
    }

    fn register(&self, id: Uuid) -> Waiter<'_> {
        let (sender, answer) = oneshot::channel();
        let mut waiters = self.waiters.lock();
        let number = waiters.next;
        waiters.next += 1;
        waiters.of.entry(id).or_default().push((number, sender));
        Waiter { awaited: self, id, number, answer }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiters = self.awaited.waiters.lock();
        if let Some(answers) = waiters.of.get_mut(&self.id) {
            answers.retain(|(number, _)| *number != self.number);
            if answers.is_empty() {
                waiters.of.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::{join, join_all};

    use super::*;

    /// A database that counts what it is asked.
    #[derive(Default)]
    struct Database {
        stored: Mutex<HashSet<Uuid>>,
        asked: AtomicUsize,
        is_down: bool,
    }

    impl Database {
        fn find(&self, ids: Vec<Uuid>) -> Result<Vec<Uuid>, sqlx::Error> {
            assert!(ids.len() <= IDS_A_QUERY);
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.is_down && ids.len() > 1 {
                return Err(sqlx::Error::PoolTimedOut);
            }
            Ok(ids.into_iter().filter(|id| self.stored.lock().contains(id)).collect())
        }
    }

    async fn wait(awaited: &Awaited, database: &Database, id: u128) -> Answer {
        awaited.wait(Uuid::from_u128(id), |ids| async { database.find(ids) }).await
    }

    fn ids(numbers: impl Iterator<Item = u128>) -> impl Iterator<Item = Uuid> {
        numbers.map(Uuid::from_u128)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_stored_before_is_found_by_the_first_question() {
        let (awaited, database) = (Awaited::default(), Database::default());
        database.stored.lock().extend(ids(0..1));
        wait(&awaited, &database, 0).await.unwrap();
        assert_eq!(database.asked.into_inner(), 1);
        assert!(awaited.waiters.lock().of.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_appended_here_is_told_and_not_asked_for() {
        let (awaited, database) = (Awaited::default(), Database::default());
        let waiting = join_all((0..100).map(|number| wait(&awaited, &database, number % 50)));
        let appending = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            awaited.stored(ids(0..50));
        };
        let (answers, ()) = join(waiting, appending).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(database.asked.into_inner(), 100, "each once, for its own");
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_append_is_asked_for_together_and_seldom() {
        let (awaited, database) = (Awaited::default(), Database::default());
        let waiting = join_all((0..1_200).map(|number| wait(&awaited, &database, number)));
        let appending = async {
            for step in 0..100 {
                // Of no concern to those who wait.
                awaited.stored(ids(10_000 + step..10_001 + step));
                tokio::time::sleep(LOOK / 10).await;
            }
            database.stored.lock().extend(ids(0..1_200));
        };
        let (answers, ()) = join(waiting, appending).await;
        assert!(answers.iter().all(Result::is_ok));
        let looks = (database.asked.into_inner() - 1_200) / 3;
        assert!((10..=12).contains(&looks), "{looks} looks in a second, of three questions each");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_is_not_asked_for_any_more_and_leaves_the_others_waiting() {
        let (awaited, database) = (Awaited::default(), Database::default());
        let mut stays = Box::pin(wait(&awaited, &database, 1));
        let mut leaves: Vec<_> = [1, 2].into_iter().map(|id| Box::pin(wait(&awaited, &database, id))).collect();
        assert!(leaves.iter_mut().all(|leaves| leaves.as_mut().now_or_never().is_none()));
        assert!(stays.as_mut().now_or_never().is_none());
        assert_eq!(awaited.waiters.lock().of.len(), 2);
        drop(leaves);
        assert_eq!(awaited.waiters.lock().of.len(), 1);
        database.stored.lock().extend(ids(1..2));
        stays.await.unwrap();
        assert!(awaited.waiters.lock().of.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_cannot_be_asked_fails_everybody_at_once() {
        let (awaited, database) = (Awaited::default(), Database { is_down: true, ..Database::default() });
        let began = Instant::now();
        let answers = join_all((0..10).map(|number| wait(&awaited, &database, number))).await;
        assert!(answers.iter().all(Result::is_err));
        assert!(began.elapsed() < LOOK);
    }
}
