//! Moving a key to another shard, in steps that may be interrupted between any two statements.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use self::draining::counts;
use self::marker::{alone, change, did_not_hold, unless};
use super::Shards;
use super::map::ShardMap;
use crate::database::atomically::{Attempts, roll_back};
use crate::database::commit::commit;
use crate::database::error::check_name;
use crate::database::open::OpenTransaction;
use crate::database::transaction::{Ended, sql_error};
use crate::database::{Database, Error, Locking, Transaction, TransactionOptions};
use crate::event::MAX_NAME_BYTES;

mod draining;
mod marker;
mod rows;

pub(super) use self::marker::Marker;

/// How far a key's move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MoveStep {
    /// The new shard refuses the key until it has arrived.
    Announced,
    /// The old shard refuses it too, and no transaction of it is under way any more.
    Closed,
    /// All that it published there is with Kafka.
    Drained,
    /// The new shard has its rows, and takes it.
    Carried,
    /// The old shard is tidied up. The move is done.
    Settled,
}

/// What a move has carried, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyMoved {
    /// Streams, with their sequences.
    pub streams: usize,
    /// What handlers' inboxes remember of the key's streams.
    pub inbox: usize,
    /// What they remember of events that were passed over.
    pub holes: usize,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Carry<'a> = Box<dyn Fn(Transaction, Transaction) -> BoxFuture<'a, Result<(), Failed>> + Send + Sync + 'a>;

/// Moves a key to another shard: its streams with their sequences, what handlers' inboxes remember of them, and the service's own
/// rows where [`carry`](Self::carry) says how.
///
/// While it runs, a fraction of a second, the key's transactions are refused on both shards; those run by [`Shards`] wait. Its events in
/// the outbox are waited for first: they stay in order. **It may be killed at any point**: run it again, and it goes on where it was.
///
/// ```no_run
/// # use tidings::database::{Entity, Error, Transaction};
/// # use tidings::database::shards::Shards;
/// # #[derive(Entity, Clone)]
/// # #[entity(table = "account", delete)]
/// # struct Account { #[entity(key)] id: i64, nickname: String }
/// # async fn example(shards: &Shards) -> Result<(), Error> {
/// let user_id = 42;
/// let carry = shards.move_key(&user_id, "eu-2").await?.carry(async |from: Transaction, to: Transaction| {
///     if let Some(account) = from.load::<Account>(&user_id).await? {
///         to.save(&account);
///         from.delete(&account);
///     }
///     Ok(())
/// });
/// carry.run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is moved until `run` is called"]
pub struct KeyMove<'a> {
    from: Database,
    to: Database,
    others: Vec<Database>,
    map: Option<Arc<ShardMap>>,
    key: String,
    streams: Vec<String>,
    wait: Duration,
    until: MoveStep,
    carry: Option<Carry<'a>>,
}

impl<'a> KeyMove<'a> {
    /// From one database to another, which are told apart by the names they were connected with. A service's own
    /// [`Shards::move_key`] knows where the key lives.
    pub fn between(from: &Database, to: &Database, key: impl Into<String>) -> Self {
        // Entities that are carried are locked while they are read.
        let locking = |database: &Database| {
            let mut database = database.clone();
            database.options = TransactionOptions { locking: Locking::ForUpdate, ..database.options };
            database
        };
        Self {
            from: locking(from),
            to: locking(to),
            others: Vec::new(),
            map: None,
            key: key.into(),
            streams: Vec::new(),
            wait: Duration::from_secs(30),
            until: MoveStep::Settled,
            carry: None,
        }
    }

    /// The service's other shards, which may remember an earlier move of the key.
    pub fn others<'d>(mut self, databases: impl IntoIterator<Item = &'d Database>) -> Self {
        self.others.extend(databases.into_iter().cloned());
        self
    }

    pub(super) fn learnt_by(mut self, shards: &Shards) -> Self {
        self.map = Some(Arc::clone(&shards.map));
        self
    }

    /// Streams of other services that the key's handlers have in their inbox, beside those whose id is the key: `Player/42` belongs
    /// to the key `42`, `Guild/7` has to be named.
    pub fn streams<S: Into<String>>(mut self, streams: impl IntoIterator<Item = S>) -> Self {
        self.streams.extend(streams.into_iter().map(Into::into));
        self
    }

    /// How long the key's events may take to leave the outbox; then the key is opened again where it was. Default: 30 s.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Stop after a step; run it again to go on. Default: all of them.
    pub fn until(mut self, step: MoveStep) -> Self {
        self.until = step;
        self
    }

    /// Carry the service's own rows of the key, from the first transaction to the second. Read what is carried with a lock, as
    /// [`Transaction::load`] does here: a transaction that was under way may not have committed yet. What the second transaction
    /// writes commits with the move, and then what the first does; where the process dies between the two, the old rows stay, and it
    /// is not called again: the key may have changed since. Where two processes move one key it may be called in both; what one of
    /// them writes takes effect.
    pub fn carry<F, Fut>(mut self, carry: F) -> Self
    where
        F: Fn(Transaction, Transaction) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<(), Failed>> + Send + 'a,
    {
        self.carry = Some(Box::new(move |from, to| carry(from, to).boxed()));
        self
    }

    /// Move the key. Does nothing where it is there already.
    ///
    /// # Errors
    /// [`Error::KeyElsewhere`]: it lives on a third shard, or is on its way to one. [`Error::Unpublished`]: its events do not leave the
    /// outbox; the key stays where it was. After any other error the key may be closed: run it again.
    pub async fn run(self) -> Result<KeyMoved, Error> {
        check_name("key", &self.key, MAX_NAME_BYTES)?;
        if self.from.shard == self.to.shard {
            return Ok(KeyMoved::default());
        }
        let mut attempts = Attempts::new(self.from.options.max_attempts);
        loop {
            if let Some(moved) = self.attempt().await? {
                return Ok(moved);
            }
            attempts.again(Error::Conflict { attempts: 1, source: None }).await?;
        }
    }

    /// Move it, from wherever it is on its way; `None` where somebody else has changed that meanwhile.
    async fn attempt(&self) -> Result<Option<KeyMoved>, Error> {
        let Some((leaving, arriving)) = self.markers().await? else { return Ok(None) };
        let (from, to) = (&*self.from.shard, &*self.to.shard);
        let elsewhere = |marker: &Marker| {
            Err(Error::KeyElsewhere { key: self.key.clone(), here: from.to_owned(), shard: marker.shard.clone() })
        };
        match (&leaving, &arriving) {
            (Some(marker), _) if !marker.says(Marker::LEAVING, to) && !marker.says(Marker::MOVED, to) => {
                return elsewhere(marker);
            }
            // It has been there, and is on its way to a third, or has gone.
            (Some(_), Some(marker)) if marker.shard != from => return elsewhere(marker),
            (None, Some(marker)) if marker.is_leaving() && marker.shard != from => return elsewhere(marker),
            (Some(marker), arriving) if marker.says(Marker::MOVED, to) => {
                // It was announced again when it was there already, by somebody who had not heard of that.
                if let Some(late) = arriving {
                    if !late.says(Marker::ARRIVING, from) {
                        return elsewhere(late);
                    }
                    let dialect = self.to.pool.dialect();
                    let still = Marker::is_still(dialect, &self.key, Some(late));
                    if !change(&self.to, &self.key, &still, Marker::delete(dialect, &self.key)).await? {
                        return Ok(None);
                    }
                }
                self.settled().await?;
                return Ok(Some(KeyMoved::default()));
            }
            (Some(_), None) => {
                // The new shard has it: only tidying up is left.
                self.settle(None).await?;
                return Ok(Some(KeyMoved::default()));
            }
            (_, arriving) => {
                if !self.announce(arriving.as_ref()).await?
                    || leaving.is_none() && self.until >= MoveStep::Closed && !self.close().await?
                {
                    return Ok(None);
                }
            }
        }
        if self.until >= MoveStep::Drained && !self.drain().await? {
            return Ok(None);
        }
        let mut moved = KeyMoved::default();
        if self.until >= MoveStep::Carried {
            let Some(from) = self.carry_rows(&mut moved).await? else { return Ok(None) };
            if self.until >= MoveStep::Settled {
                self.settle(Some(from)).await?;
            }
        }
        Ok(Some(moved))
    }

    /// What the two shards say, the old one first, at one moment; `None` where that changes.
    async fn markers(&self) -> Result<Option<(Option<Marker>, Option<Marker>)>, Error> {
        let leaving = Marker::read(&self.from, &self.key).await?;
        let arriving = Marker::read(&self.to, &self.key).await?;
        let unchanged = Marker::read(&self.from, &self.key).await? == leaving;
        Ok(unchanged.then_some((leaving, arriving)))
    }

    /// Close the key on the new shard, which said `read` of it.
    async fn announce(&self, read: Option<&Marker>) -> Result<bool, Error> {
        let (dialect, from) = (self.to.pool.dialect(), &self.from.shard);
        if read.is_some_and(|marker| marker.says(Marker::ARRIVING, from)) {
            return Ok(true);
        }
        let announcement = Marker::write(dialect, &self.key, from, Marker::ARRIVING);
        change(&self.to, &self.key, &Marker::is_still(dialect, &self.key, read), announcement).await
    }

    /// Close the key on the old shard, if it lives there.
    async fn close(&self) -> Result<bool, Error> {
        let dialect = self.from.pool.dialect();
        let closed = Marker::write(dialect, &self.key, &self.to.shard, Marker::LEAVING);
        change(&self.from, &self.key, &Marker::is_still(dialect, &self.key, None), closed).await
    }

    /// Copy the rows, and have the new shard take the key, in one transaction there. Returns the old shard's, which is still open;
    /// `None` where another mover was faster, or has opened the key again.
    async fn carry_rows(&self, moved: &mut KeyMoved) -> Result<Option<Transaction>, Error> {
        let begin = |error| sql_error("opening a transaction", error);
        let mut open = OpenTransaction::begin(&self.from.pool).await.map_err(begin)?;
        let statements =
            self.read_rows(&mut open, moved).await.map_err(|error| sql_error("reading a key's rows", error))?;
        let Some(mut statements) = statements else {
            let _ = open.roll_back().await;
            return Ok(None);
        };
        let from = Transaction::opened(&self.from, open, Vec::new());
        let open = OpenTransaction::begin(&self.to.pool).await.map_err(begin)?;
        let to = Transaction::opened(&self.to, open, Vec::new());
        if let Some(carry) = &self.carry {
            carry(from.clone(), to.clone()).await.map_err(Error::Carry)?;
        }
        // What was read is stale if another mover has carried it meanwhile: the key may have changed there since. Last, for the gate.
        let dialect = self.to.pool.dialect();
        let arriving = Marker::is(dialect, &self.key, &[Marker::ARRIVING], &self.from.shard);
        statements.extend(alone(dialect, &self.key));
        statements.push(unless(dialect, &self.key, &arriving));
        statements.push(Marker::delete(dialect, &self.key));
        let Ended { buffer, open } = to.end();
        match commit(&self.to, buffer?, open, statements).await {
            Ok(()) => Ok(Some(from)),
            Err(error) if did_not_hold(&error) => {
                roll_back(&from).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The statements that write the key's rows on the new shard, if the key is closed and its events are published: while its marker
    /// is held it stays so.
    async fn read_rows(
        &self,
        open: &mut OpenTransaction,
        moved: &mut KeyMoved,
    ) -> Result<Option<Vec<String>>, sqlx::Error> {
        let leaving = Marker::hold(open, self.from.pool.dialect(), &self.key).await?;
        if !leaving.is_some_and(|marker| marker.says(Marker::LEAVING, &self.to.shard))
            || counts(&open.query(self.unpublished()).await?)? != (0, 0)
        {
            return Ok(None);
        }
        self.copied(open, moved).await.map(Some)
    }

    /// The old shard remembers where the key lives. `from` is its transaction, with what the service's own code has written there.
    async fn settle(&self, from: Option<Transaction>) -> Result<(), Error> {
        let from = match from {
            Some(from) => from,
            None => Transaction::new(&self.from, None),
        };
        let Ended { buffer, open } = from.end();
        let mut open = match open {
            Some(open) => open,
            None => {
                let begun = OpenTransaction::begin(&self.from.pool).await;
                begun.map_err(|error| sql_error("opening a transaction", error))?
            }
        };
        let (dialect, to) = (self.from.pool.dialect(), &self.to.shard);
        // Another mover may have done so already. If the key has come back since, it is none of this one's business any more.
        let gone = Marker::is(dialect, &self.key, &[Marker::LEAVING, Marker::MOVED], to);
        let mut statements = Marker::lock(dialect, &self.key);
        statements.push(unless(dialect, &self.key, &gone));
        statements.extend(self.pointed(&mut open).await.map_err(Error::sql("reading a key's rows"))?);
        statements.push(Marker::write(dialect, &self.key, to, Marker::MOVED));
        match commit(&self.from, buffer?, Some(open), statements).await {
            Ok(()) => self.settled().await,
            Err(error) if did_not_hold(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Shards that the key was moved from earlier point to where it lives now.
    async fn settled(&self) -> Result<(), Error> {
        for database in &self.others {
            let dialect = database.pool.dialect();
            let (key, shard) = (dialect.text(&self.key), dialect.text(&self.to.shard));
            // A move from there that is under way says itself where it ends.
            let point =
                format!("UPDATE tidings_moved_key SET shard = {shard} WHERE partition_key = {key} AND state = 'moved'");
            database.pool.execute(point).await.map_err(Error::sql("telling a shard where a key lives"))?;
        }
        if let Some(map) = &self.map
            && let Some(home) = map.number(&self.to.shard)
        {
            map.learn(&self.key, home);
        }
        Ok(())
    }
}

impl fmt::Debug for KeyMove<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyMove")
            .field("from", &self.from.shard)
            .field("to", &self.to.shard)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
