//! Running a closure in a transaction, again and again until it is not overtaken.

use std::future::Future;
use std::time::Duration;

use rand::RngExt as _;

use super::commit::commit;
use super::error::Failure;
use super::transaction::Ended;
use super::{Database, Entity, Error, Transaction};

/// The longest pause before another attempt.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// How transactions run.
///
/// | option | default |
/// | --- | --- |
/// | `locking` | [`Locking::Optimistic`] |
/// | `max_attempts` | 20 |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionOptions {
    pub(crate) locking: Locking,
    pub(crate) max_attempts: u32,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self { locking: Locking::default(), max_attempts: 20 }
    }
}

impl TransactionOptions {
    /// How two writers of one entity are kept apart. Default: optimistic.
    pub fn locking(mut self, locking: Locking) -> Self {
        self.locking = locking;
        self
    }

    /// How often a closure is run at most, while others overtake it. Between attempts it pauses, longer and longer, with
    /// jitter, at most 100 ms. Default: 20.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }
}

/// How two writers of one entity are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locking {
    /// Read without a lock, keep nothing open while the closure runs, and write only if the version is still the one that was
    /// read; else run the closure again.
    #[default]
    Optimistic,
    /// Open the transaction first and read with [`Entity::load_for_update`]. For entities that many write at once, and closures
    /// that do not wait for anything: the transaction stays open while they run.
    ForUpdate,
}

impl Database {
    /// Read the entity `key`, run `closure` on it, and write what that saves and publishes, in one short transaction. Nothing
    /// is open while the closure runs, unless it takes the connection, or the locking is [`Locking::ForUpdate`].
    ///
    /// When another writer was first, everything is rolled back and the closure **runs again** on a fresh entity: it must have
    /// no other effects, or such as may happen twice. So it does after a deadlock, or a lock that did not come in time, be it in the
    /// closure's own SQL. After a rollback for any other reason its error is returned as it is.
    ///
    /// The error type can be any that the framework's own [`Error`] converts into: `tidings::Result`, `anyhow::Error`, your own.
    /// Where the compiler cannot tell which, name it: `async |tx, account: Option<Account>| -> Result<_, AppError> { … }`.
    ///
    /// # Errors
    /// The closure's, or an [`Error`]. After [`Error::CommitUnknown`] the transaction may have taken effect; it is never run
    /// again then.
    pub async fn atomically<A, F, Fut, R, E>(&self, key: &A::Key, closure: F) -> Result<R, E>
    where
        A: Entity,
        F: Fn(Transaction, Option<A>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send,
        E: From<Error>,
    {
        self.run_atomically(key, None, closure).await?
    }

    /// As [`atomically`](Self::atomically), with the key whose shard this has to be. The framework's own error is the outer one.
    pub(super) async fn run_atomically<A, F, Fut, R, E>(
        &self,
        key: &A::Key,
        of: Option<&str>,
        closure: F,
    ) -> Result<Result<R, E>, Error>
    where
        A: Entity,
        F: Fn(Transaction, Option<A>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send,
    {
        let lock = self.options.locking == Locking::ForUpdate;
        let mut attempts = Attempts::new(self.options.max_attempts);
        loop {
            let tx = Transaction::new(self, of);
            let overtaken = match tx.read::<A>(key, lock).await {
                Ok(entity) => {
                    let result = closure(tx.clone(), entity).await;
                    match self.finish(&tx, result).await {
                        Ok(result) => return Ok(result),
                        Err(error) => error,
                    }
                }
                Err(error) => {
                    roll_back(&tx).await;
                    error
                }
            };
            attempts.again(overtaken).await?;
        }
    }

    /// Run `closure` and write what it saves and publishes, in one short transaction. As [`atomically`](Self::atomically),
    /// without an entity to begin with; [`Transaction::load`] reads them.
    ///
    /// # Errors
    /// As [`atomically`](Self::atomically).
    pub async fn transaction<F, Fut, R, E>(&self, closure: F) -> Result<R, E>
    where
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send,
        E: From<Error>,
    {
        self.run_transaction(None, closure).await?
    }

    /// As [`transaction`](Self::transaction), with the key whose shard this has to be.
    pub(super) async fn run_transaction<F, Fut, R, E>(
        &self,
        of: Option<&str>,
        closure: F,
    ) -> Result<Result<R, E>, Error>
    where
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send,
    {
        let mut attempts = Attempts::new(self.options.max_attempts);
        loop {
            let tx = Transaction::new(self, of);
            let result = closure(tx.clone()).await;
            match self.finish(&tx, result).await {
                Ok(result) => return Ok(result),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// End `tx`, whose closure has returned `result`: commit or roll back.
    async fn finish<R, E>(&self, tx: &Transaction, result: Result<R, E>) -> Result<Result<R, E>, Error> {
        let Ended { buffer, open } = tx.end();
        let failure = match (buffer, result) {
            (Ok(buffer), Ok(value)) => {
                commit(self, buffer, open, Vec::new()).await?;
                return Ok(Ok(value));
            }
            (Ok(_), Err(error)) => Ok(Err(error)),
            (Err(failure), _) => Err(failure),
        };
        let Some(mut open) = open else { return failure };
        // Asked before anything else is said to the server. Whatever the closure has made of its statement's error, it is why it failed.
        let waited_in_vain = failure.is_ok() && open.lock_wait_timed_out().await;
        match (open.roll_back().await, failure) {
            // Or a deadlock had rolled it back already.
            (Ok(rolled_back), Ok(_)) if rolled_back || waited_in_vain => {
                Err(Error::Conflict { attempts: 1, source: None })
            }
            (_, failure) => failure,
        }
    }
}

pub(super) async fn roll_back(tx: &Transaction) {
    if let Some(open) = tx.end().open
        && let Err(error) = open.roll_back().await
    {
        // The connection is not used again, and the server rolls back when it goes.
        tracing::debug!(%error, "a transaction could not be rolled back");
    }
}

/// Counts attempts, and pauses between them.
pub(crate) struct Attempts {
    made: u32,
    max: u32,
    duplicate: bool,
}

impl Attempts {
    pub(crate) const fn new(max: u32) -> Self {
        Self { made: 0, max, duplicate: false }
    }

    /// Wait for another attempt after `error`, or return it.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        self.made += 1;
        let (may_run_again, duplicate) = match &error {
            Error::Conflict { source, .. } => {
                let kind = source.as_ref().map(Failure::of);
                (true, kind == Some(Failure::Duplicate))
            }
            Error::Sql { source, .. } => (Failure::of(source).may_run_again(), false),
            _ => (false, false),
        };
        // The first duplicate may be somebody else's new entity, which is then found. The second is about another unique key.
        let explained = duplicate && self.duplicate;
        self.duplicate = duplicate;
        if !may_run_again || explained || self.made >= self.max {
            return Err(match error {
                Error::Conflict { source: Some(source), .. } if explained => {
                    Error::Sql { doing: "saving an entity", source }
                }
                Error::Conflict { source, .. } => Error::Conflict { attempts: self.made, source },
                error => error,
            });
        }
        metrics::counter!(crate::telemetry::names::TRANSACTION_RETRIES).increment(1);
        let longest = Duration::from_millis(1 << self.made.min(7)).min(MAX_PAUSE);
        let pause = rand::rng().random_range(Duration::ZERO..=longest);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Run `sql`, again where other transactions are in its way; how many rows it changed.
pub(crate) async fn execute_again(database: &Database, sql: String, doing: &'static str) -> Result<u64, Error> {
    let mut attempts = Attempts::new(database.options.max_attempts);
    loop {
        match database.pool.execute(sql.clone()).await {
            Ok(rows) => return Ok(rows),
            Err(error) => attempts.again(Error::sql(doing)(error)).await?,
        }
    }
}
