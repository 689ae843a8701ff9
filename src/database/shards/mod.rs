//! Shards: several databases, and which of them each key lives on.
//!
//! A [`Shards`] finds the [`Database`] of a key, and runs transactions there. It has no transaction of its own, and a transaction
//! belongs to the one database it was begun on: **none can span two shards**, for there is nothing to begin it with. What is left to
//! get wrong, an event whose key lives elsewhere, fails before the commit with [`Error::KeyElsewhere`].
//!
//! ```no_run
//! # use tidings::database::{Database, DatabaseOptions, Entity, Error, Transaction};
//! use tidings::database::shards::{Placement, Shards};
//! # #[derive(Entity, Clone)]
//! # #[entity(table = "account")]
//! # struct Account { #[entity(key)] id: i64, nickname: String }
//!
//! # async fn example() -> Result<(), Error> {
//! let mut databases = Vec::new();
//! for (name, host) in [("eu-1", "db-1.example"), ("eu-2", "db-2.example")] {
//!     let options = DatabaseOptions::new(format!("mysql://accounts@{host}/accounts")).shard(name);
//!     databases.push(Database::connect(options).await?);
//! }
//! let shards = Shards::new(databases, Placement::hash()).await?;
//!
//! shards
//!     .atomically(&42, async |tx: Transaction, account: Option<Account>| {
//!         if let Some(account) = account {
//!             tx.save(&Account { nickname: "Ada".to_owned(), ..account });
//!         }
//!         Ok::<_, Error>(())
//!     })
//!     .await
//! # }
//! ```
//!
//! A transaction that is begun without a key has no shard:
//!
//! ```compile_fail,E0061
//! # async fn example(shards: tidings::database::shards::Shards) -> Result<(), tidings::database::Error> {
//! shards.transaction(async |tx| Ok(())).await
//! # }
//! ```
//!
//! and what one shard's transaction has been told cannot be written by another's: it is consumed where it was begun.
//!
//! ```compile_fail,E0308
//! # use tidings::database::{Database, Transaction, Error};
//! # async fn example(first: Database, second: Database) -> Result<(), Error> {
//! first.transaction(async |tx: Transaction| {
//!     second.transaction(tx).await // Takes a closure that is given a transaction of its own, and no transaction.
//! })
//! .await
//! # }
//! ```
//!
//! One pool, or one endpoint that shards by itself (Vitess, TiDB), is [`Shards::one`], or just a [`Database`]. The page `docs/shards.md`
//! says what such an endpoint must be able to do, and how a key is moved to another shard.

pub(crate) mod guard;
pub(crate) mod map;
mod moving;
mod options;
mod placement;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::map::ShardMap;
pub use self::moving::{KeyMove, KeyMoved, MoveStep};
pub use self::options::ShardsOptions;
pub use self::placement::Placement;
use super::{Database, Entity, Error, Transaction, TransactionOptions};
use crate::event::Key;
use crate::outbox::{ProducerFactory, Relay};
use crate::publisher::Publisher;

/// How often a transaction looks for its key again when that lives elsewhere, or is being moved, and the pause between.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Several databases, and which of them each key lives on. A cheap handle: clone it.
#[derive(Clone)]
pub struct Shards {
    databases: Arc<[Database]>,
    map: Arc<ShardMap>,
}

impl Shards {
    /// The only shard: one pool, or one endpoint that shards by itself.
    pub fn one(database: Database) -> Self {
        let map = ShardMap::new(vec![Arc::clone(&database.shard)], Placement::hash());
        Self { databases: Arc::new([database]), map: Arc::new(map) }
    }

    /// These shards, told apart by the [names](super::DatabaseOptions::shard) they were connected with.
    ///
    /// # Errors
    /// [`Error::Shards`]: there is none, or two have one name. [`Error::Layout`]: a database remembers another way to spread the keys.
    pub async fn new(databases: impl IntoIterator<Item = Database>, placement: Placement) -> Result<Self, Error> {
        let shards = Self::unchecked(databases, placement)?;
        if shards.databases.len() > 1 {
            for database in shards.iter() {
                shards.check_layout(database).await?;
            }
        }
        Ok(shards)
    }

    fn unchecked(databases: impl IntoIterator<Item = Database>, placement: Placement) -> Result<Self, Error> {
        let mut databases: Vec<_> = databases.into_iter().collect();
        let names: Vec<_> = databases.iter().map(|database| Arc::clone(&database.shard)).collect();
        if names.is_empty() {
            return Err(Error::Shards { reason: "there is none; name at least one database".to_owned() });
        }
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier == name) {
                let reason =
                    format!("two of them are called '{name}'; give each its name with `DatabaseOptions::shard`");
                return Err(Error::Shards { reason });
            }
        }
        let map = Arc::new(ShardMap::new(names, placement));
        if databases.len() > 1 {
            for database in &mut databases {
                database.map = Some(Arc::clone(&map));
            }
        }
        Ok(Self { databases: databases.into(), map })
    }

    /// Connect to all of them.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`Database::connect`].
    pub async fn connect(options: ShardsOptions) -> Result<Self, Error> {
        let ShardsOptions { databases, placement } = options;
        let connected = futures_util::future::try_join_all(databases.into_iter().map(Database::connect)).await?;
        Self::new(connected, placement).await
    }

    /// The same shards, whose transactions publish as `publisher` does.
    pub fn with_publisher(self, publisher: &Publisher) -> Self {
        self.map(|database| database.with_publisher(publisher))
    }

    /// The same shards, whose transactions run as `options` say.
    pub fn with_options(self, options: &TransactionOptions) -> Self {
        self.map(|database| database.with_options(options.clone()))
    }

    fn map(self, change: impl Fn(Database) -> Database) -> Self {
        let databases = self.databases.iter().cloned().map(change).collect();
        Self { databases, map: self.map }
    }

    /// The shard that `key` lives on. A key that was moved meanwhile is found on its new one after the first transaction that fails on
    /// the old one; [`atomically`](Self::atomically) and [`transaction`](Self::transaction) see to that by themselves.
    ///
    /// # Errors
    /// [`Error::NoShard`]: its placement names none.
    pub fn of<K: Key + ?Sized>(&self, key: &K) -> Result<&Database, Error> {
        let key = key.to_key();
        let home = self.map.home(&key)?;
        self.databases.get(home).ok_or_else(|| Error::NoShard { key: key.into_owned(), shard: None })
    }

    /// The shard called `name`.
    pub fn get(&self, name: &str) -> Option<&Database> {
        self.map.number(name).and_then(|number| self.databases.get(number))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Database> {
        self.databases.iter()
    }

    /// As [`Database::atomically`], on the shard of `key`.
    ///
    /// # Errors
    /// As there, and [`Error::NoShard`]; [`Error::KeyElsewhere`] where the key is still on its way between two shards after five seconds.
    pub async fn atomically<A, F, Fut, R, E>(&self, key: &A::Key, closure: F) -> Result<R, E>
    where
        A: Entity,
        F: Fn(Transaction, Option<A>) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send,
        E: From<Error>,
    {
        let text = key.to_key();
        let mut looks = 0;
        loop {
            let result = self.of(key)?.run_atomically(key, Some(&*text), &closure).await;
            if let Some(result) = self.found_elsewhere(result, &text, &mut looks).await {
                return result;
            }
        }
    }

    /// As [`Database::transaction`], on the shard of `key`.
    ///
    /// # Errors
    /// As [`atomically`](Self::atomically).
    pub async fn transaction<K, F, Fut, R, E>(&self, key: &K, closure: F) -> Result<R, E>
    where
        K: Key + ?Sized,
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send,
        E: From<Error>,
    {
        let text = key.to_key();
        let mut looks = 0;
        loop {
            let result = self.of(key)?.run_transaction(Some(&*text), &closure).await;
            if let Some(result) = self.found_elsewhere(result, &text, &mut looks).await {
                return result;
            }
        }
    }

    /// The result, unless it is that the key lives elsewhere, and it is now known where.
    async fn found_elsewhere<R, E: From<Error>>(
        &self,
        result: Result<Result<R, E>, Error>,
        key: &str,
        looks: &mut u32,
    ) -> Option<Result<R, E>> {
        let error = match result {
            Ok(result) => return Some(result),
            Err(error) => error,
        };
        // Of another key, it is the closure's mistake.
        if !error.is_about(key) || *looks >= LOOKS {
            return Some(Err(error.into()));
        }
        *looks += 1;
        match self.find(key).await {
            Ok(Some(_)) => None,
            // Under way: it will not take long.
            Ok(None) => {
                tokio::time::sleep(PAUSE).await;
                None
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Ask the shards where `key` lives; `None` while it is being moved.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<&Database>, Error> {
        let mut number = self.map.placed(key)?;
        for _ in 0..=self.databases.len() {
            let Some(database) = self.databases.get(number) else { break };
            match moving::Marker::read(database, key).await? {
                None => {
                    self.map.learn(key, number);
                    return Ok(Some(database));
                }
                Some(marker) if marker.is_leaving() => return Ok(None),
                Some(marker) => {
                    let next = self.map.number(&marker.shard);
                    let missing = || Error::NoShard { key: key.to_owned(), shard: Some(marker.shard.clone()) };
                    number = next.ok_or_else(missing)?;
                }
            }
        }
        Ok(None)
    }

    /// Move `key` to the shard called `to`; see [`KeyMove`].
    ///
    /// # Errors
    /// [`Error::NoShard`]; [`Error::Sql`].
    pub async fn move_key<K: Key + ?Sized>(&self, key: &K, to: &str) -> Result<KeyMove<'_>, Error> {
        let text = key.to_key();
        let missing = || Error::NoShard { key: text.to_string(), shard: Some(to.to_owned()) };
        let target = self.get(to).ok_or_else(missing)?;
        let from = match self.find(&text).await? {
            Some(home) if home.shard == target.shard => self.source_of(&text, target).await?,
            Some(home) => home,
            None => self.source_of(&text, target).await?,
        };
        let others = self.iter().filter(|database| ![&from.shard, &target.shard].contains(&&database.shard));
        Ok(KeyMove::between(from, target, &*text).others(others).learnt_by(self))
    }

    /// The shard that `key` is leaving for `target`, or has left for it; `target` itself where it has always been there.
    async fn source_of<'s>(&'s self, key: &str, target: &'s Database) -> Result<&'s Database, Error> {
        let mut left = target;
        for database in self.iter() {
            match moving::Marker::read(database, key).await? {
                Some(marker) if marker.is_leaving() => return Ok(database),
                Some(marker) if *marker.shard == *target.shard => left = database,
                _ => {}
            }
        }
        Ok(left)
    }

    /// A relay for each shard, with producers of `producers`.
    pub fn relays<P: ProducerFactory + Clone>(&self, producers: &P) -> Vec<Relay> {
        self.iter().map(|database| Relay::new(database, producers.clone())).collect()
    }

    /// Create or change the tables of tidings on all of them.
    ///
    /// # Errors
    /// As [`Database::migrate`].
    pub async fn migrate(&self) -> Result<(), Error> {
        for database in self.iter() {
            database.migrate().await?;
        }
        Ok(())
    }

    /// Check that the tables of tidings are on all of them.
    ///
    /// # Errors
    /// As [`Database::check_migrated`].
    pub async fn check_migrated(&self) -> Result<(), Error> {
        for database in self.iter() {
            database.check_migrated().await?;
        }
        Ok(())
    }

    /// Close all connections; waits for those in use.
    pub async fn close(&self) {
        for database in self.iter() {
            database.close().await;
        }
    }

    async fn check_layout(&self, database: &Database) -> Result<(), Error> {
        let failed = || Error::sql("reading how keys are spread over shards");
        let dialect = database.pool.dialect();
        let wanted = self.map.placement.layout(&self.map.names);
        let (shard, layout) = (dialect.text(&database.shard), dialect.text(&wanted));
        let insert = format!(
            "INSERT INTO tidings_shard_layout (id, shard, layout) VALUES (1, {shard}, {layout}) {} shard = tidings_shard_layout.shard",
            dialect.on_duplicate(),
        );
        database.pool.execute(insert).await.map_err(failed())?;
        let rows = database.pool.query("SELECT shard, layout FROM tidings_shard_layout WHERE id = 1".to_owned()).await;
        let rows = rows.map_err(failed())?;
        let Some(row) = rows.first() else { return Ok(()) };
        let found = (row.text(0).map_err(failed())?, row.text(1).map_err(failed())?);
        if *found.0 == *database.shard && found.1 == wanted {
            return Ok(());
        }
        Err(Error::Layout {
            shard: database.shard.to_string(),
            recorded: format!("shard '{}' of {}", found.0, found.1),
            wanted: format!("shard '{}' of {wanted}", database.shard),
        })
    }

    /// Have the databases remember that keys are spread as `placement` says from now on. Whoever calls it has stopped all services
    /// and relays, and has moved each key that lives elsewhere by it.
    ///
    /// # Errors
    /// [`Error::Shards`]; [`Error::Sql`].
    pub async fn accept_layout(
        databases: impl IntoIterator<Item = Database>,
        placement: Placement,
    ) -> Result<Self, Error> {
        let shards = Self::unchecked(databases, placement)?;
        for database in shards.iter() {
            let forget = database.pool.execute("DELETE FROM tidings_shard_layout".to_owned()).await;
            forget.map_err(Error::sql("changing how keys are spread over shards"))?;
            shards.check_layout(database).await?;
        }
        Ok(shards)
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shards").field("map", &self.map).finish_non_exhaustive()
    }
}
