//! Moving a key to another shard, in steps that may be interrupted between any two statements.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::Shards;
use super::map::ShardMap;
use crate::database::atomically::Attempts;
use crate::database::commit::commit;
use crate::database::error::check_name;
use crate::database::open::OpenTransaction;
use crate::database::sql::Dialect;
use crate::database::transaction::{Ended, sql_error};
use crate::database::{Database, Error, Locking, Transaction, TransactionOptions};
use crate::event::MAX_NAME_BYTES;
use crate::outbox::bucket_of;

mod rows;

/// How often it is looked whether the outbox is empty.
const LOOK: Duration = Duration::from_millis(50);

/// What a shard says of a key that does not live there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// Where it lives, or is on its way to.
    pub(super) shard: String,
    state: String,
}

impl Marker {
    const ARRIVING: &'static str = "arriving";
    const LEAVING: &'static str = "leaving";
    const MOVED: &'static str = "moved";

    pub(super) async fn read(database: &Database, key: &str) -> Result<Option<Self>, Error> {
        let failed = || Error::sql("asking where a key lives");
        let key = database.pool.dialect().text(key);
        let sql = format!("SELECT shard, state FROM tidings_moved_key WHERE partition_key = {key}");
        let rows = database.pool.query(sql).await.map_err(failed())?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Self { shard: row.text(0).map_err(failed())?, state: row.text(1).map_err(failed())? }))
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.state == Self::LEAVING
    }

    fn write(dialect: Dialect, key: &str, shard: &str, state: &str) -> String {
        let (key, shard, now) = (dialect.text(key), dialect.text(shard), dialect.now());
        format!(
            "INSERT INTO tidings_moved_key (partition_key, shard, state, changed_at) VALUES ({key}, {shard}, '{state}', {now}) \
             {} shard = {shard}, state = '{state}', changed_at = {now}",
            dialect.on_duplicate(),
        )
    }
}

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
    /// is not called again: the key may have changed since.
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
        let mut moved = KeyMoved::default();
        if self.from.shard == self.to.shard {
            return Ok(moved);
        }
        let (leaving, arriving) =
            (Marker::read(&self.from, &self.key).await?, Marker::read(&self.to, &self.key).await?);
        match &leaving {
            Some(marker) if *marker.shard != *self.to.shard || marker.state == Marker::ARRIVING => {
                return Err(Error::KeyElsewhere {
                    key: self.key,
                    here: self.from.shard.to_string(),
                    shard: marker.shard.clone(),
                });
            }
            Some(marker) if marker.state == Marker::MOVED && arriving.is_none() => {
                self.settled().await?;
                return Ok(moved);
            }
            Some(_) if arriving.is_none() => {
                // The new shard has it: only tidying up is left.
                self.settle(None).await?;
                return Ok(moved);
            }
            Some(_) => {}
            None => {
                self.mark(&self.to, &self.from.shard, Marker::ARRIVING).await?;
                if self.until >= MoveStep::Closed {
                    self.mark(&self.from, &self.to.shard, Marker::LEAVING).await?;
                }
            }
        }
        if self.until >= MoveStep::Drained {
            self.drain().await?;
        }
        if self.until >= MoveStep::Carried {
            let from = self.carry_rows(&mut moved).await?;
            if self.until >= MoveStep::Settled {
                self.settle(Some(from)).await?;
            }
        }
        Ok(moved)
    }

    /// Close the key on `database`, once no transaction of it is under way there.
    async fn mark(&self, database: &Database, shard: &str, state: &str) -> Result<(), Error> {
        let dialect = database.pool.dialect();
        let mut statements = alone(dialect, &self.key);
        statements.push(Marker::write(dialect, &self.key, shard, state));
        let mut attempts = Attempts::new(database.options.max_attempts);
        while let Err(error) = database.pool.run_transaction(statements.clone()).await {
            attempts.again(sql_error("closing a key on its shard", error)).await?;
        }
        Ok(())
    }

    /// Wait until nothing of the key is in the outbox; open it again where that takes too long.
    async fn drain(&self) -> Result<(), Error> {
        let until = Instant::now() + self.wait;
        loop {
            let (waiting, parked) = self.unpublished().await?;
            if (waiting, parked) == (0, 0) {
                return Ok(());
            }
            if parked > 0 || Instant::now() >= until {
                let key = self.from.pool.dialect().text(&self.key);
                let open = format!("DELETE FROM tidings_moved_key WHERE partition_key = {key}");
                self.from.pool.execute(open).await.map_err(Error::sql("opening a key again"))?;
                return Err(Error::Unpublished { key: self.key.clone(), waiting, parked });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many of the key's events wait in the outbox, and how many are parked. One statement, which sees both tables at one moment:
    /// a relay parks events, and an operator puts them back, and between two statements they would be in neither.
    async fn unpublished(&self) -> Result<(i64, i64), Error> {
        let failed = || Error::sql("looking for a key's events in the outbox");
        let (bucket, key) = (bucket_of(&self.key), self.from.pool.dialect().text(&self.key));
        let count = |table| format!("SELECT COUNT(*) FROM {table} WHERE bucket = {bucket} AND partition_key = {key}");
        let sql = format!("SELECT ({}), ({})", count("tidings_outbox"), count("tidings_outbox_parked"));
        let rows = self.from.pool.query(sql).await.map_err(failed())?;
        let Some(row) = rows.first() else { return Ok((0, 0)) };
        Ok((row.integer(0).map_err(failed())?, row.integer(1).map_err(failed())?))
    }

    /// Copy the rows, and have the new shard take the key, in one transaction there. Returns the old shard's, which is still open.
    async fn carry_rows(&self, moved: &mut KeyMoved) -> Result<Transaction, Error> {
        let begin = |error| sql_error("opening a transaction", error);
        let mut open = OpenTransaction::begin(&self.from.pool).await.map_err(begin)?;
        let statements = self.copied(&mut open, moved).await.map_err(Error::sql("reading a key's rows"))?;
        let from = Transaction::opened(&self.from, open, Vec::new());
        let open = OpenTransaction::begin(&self.to.pool).await.map_err(begin)?;
        let to = Transaction::opened(&self.to, open, Vec::new());
        if let Some(carry) = &self.carry {
            carry(from.clone(), to.clone()).await.map_err(Error::Carry)?;
        }
        let Ended { buffer, open } = to.end();
        commit(&self.to, buffer?, open, statements).await?;
        Ok(from)
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
        let mut statements = self.pointed(&mut open).await.map_err(Error::sql("reading a key's rows"))?;
        statements.push(Marker::write(dialect, &self.key, to, Marker::MOVED));
        commit(&self.from, buffer?, Some(open), statements).await?;
        self.settled().await
    }

    /// Shards that the key was moved from earlier point to where it lives now.
    async fn settled(&self) -> Result<(), Error> {
        for database in &self.others {
            let dialect = database.pool.dialect();
            let (key, shard) = (dialect.text(&self.key), dialect.text(&self.to.shard));
            let point =
                format!("UPDATE tidings_moved_key SET shard = {shard}, state = 'moved' WHERE partition_key = {key}");
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

/// Wait for the transactions of `key`, and keep others out.
fn alone(dialect: Dialect, key: &str) -> Vec<String> {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => {
            vec![format!("SELECT bucket FROM tidings_shard_gate WHERE bucket = {} FOR UPDATE", bucket_of(key))]
        }
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let _ = key;
            Vec::new()
        }
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
