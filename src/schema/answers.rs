//! Remembers what a registry said.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::registry::RegistryError;

/// How long a failure is given to all who ask, before the registry is asked again.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);

/// With more questions than this open, those whose failure is old are forgotten: ids made up by a broken producer must not
/// fill the memory.
const OPEN_QUESTIONS: usize = 4_096;

/// What a registry said: one question at a time for each key, answers kept for ever, failures for a second.
#[derive(Debug)]
pub(super) struct Answers<K, V> {
    entries: RwLock<FxHashMap<K, Arc<Entry<V>>>>,
}

#[derive(Debug)]
struct Entry<V> {
    answer: OnceCell<V>,
    failure: Mutex<Option<(Instant, RegistryError)>>,
}

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Self { entries: RwLock::default() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Answers<K, V> {
    /// The answer, where it is known.
    pub(super) fn known(&self, key: &K) -> Option<V> {
        self.entries.read().get(key)?.answer.get().cloned()
    }

    /// The answer: known, or asked for. Whoever asks the same meanwhile waits for the same answer.
    pub(super) async fn get<A>(&self, key: &K, ask: impl FnOnce() -> A + Send) -> Result<V, RegistryError>
    where
        A: Future<Output = Result<V, RegistryError>> + Send,
    {
        let entry = self.entry(key);
        let answer = entry.answer.get_or_try_init(|| async {
            if let Some((since, failure)) = &*entry.failure.lock()
                && since.elapsed() < FAILURE_HOLDS
            {
                return Err(failure.clone());
            }
            let answer = ask().await;
            if let Err(failure) = &answer {
                *entry.failure.lock() = Some((Instant::now(), failure.clone()));
            }
            answer
        });
        answer.await.cloned()
    }

    fn entry(&self, key: &K) -> Arc<Entry<V>> {
        if let Some(entry) = self.entries.read().get(key) {
            return Arc::clone(entry);
        }
        let mut entries = self.entries.write();
        if entries.len() >= OPEN_QUESTIONS {
            entries.retain(|_, entry| {
                let failed = entry.failure.lock().as_ref().map(|(since, _)| since.elapsed());
                entry.answer.initialized() || failed.is_none_or(|elapsed| elapsed < FAILURE_HOLDS)
            });
        }
        let entry = entries.entry(key.clone());
        Arc::clone(entry.or_insert_with(|| Arc::new(Entry { answer: OnceCell::new(), failure: Mutex::new(None) })))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn ask(asked: &AtomicU32, answer: Result<u32, RegistryError>) -> Result<u32, RegistryError> {
        asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        answer
    }

    #[tokio::test]
    async fn many_who_ask_at_once_share_one_question() {
        let (answers, asked) = (Answers::default(), AtomicU32::new(0));
        let all = (0..20).map(|_| answers.get(&1, || ask(&asked, Ok(7))));
        let all = futures_util::future::join_all(all).await;
        assert!(all.into_iter().all(|answer| answer.is_ok_and(|value| value == 7)));
        assert_eq!((asked.load(Ordering::SeqCst), answers.known(&1), answers.known(&2)), (1, Some(7), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_for_a_second_and_then_asked_about_again() {
        let (answers, asked) = (Answers::default(), AtomicU32::new(0));
        let unknown = || Err(RegistryError::UnknownId { id: 1 });
        let all = (0..20).map(|_| answers.get(&1, || ask(&asked, unknown())));
        assert!(futures_util::future::join_all(all).await.into_iter().all(|answer| answer.is_err()));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::time::advance(FAILURE_HOLDS).await;
        assert_eq!(answers.get(&1, || ask(&asked, Ok(7))).await.unwrap(), 7);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_keys_are_forgotten_and_answers_are_not() {
        let (answers, asked) = (Answers::default(), AtomicU32::new(0));
        answers.get(&0, || ask(&asked, Ok(7))).await.unwrap();
        for id in 1..2 * u32::try_from(OPEN_QUESTIONS).unwrap() {
            let _ = answers.get(&id, || ask(&asked, Err(RegistryError::UnknownId { id }))).await;
            tokio::time::advance(FAILURE_HOLDS).await;
        }
        assert!(answers.entries.read().len() <= OPEN_QUESTIONS);
        assert_eq!(answers.known(&0), Some(7));
    }
}
