//! The handle a transaction's closure works with.

use std::any::TypeId;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex as AsyncMutex, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::entity::{Delete, Save, WriteEntity};
use super::error::Failure;
use super::open::OpenTransaction;
use super::pool::Pool;
use super::{Connection, Database, DeleteEntity, Entity, Error, Locking, Versioned};
use crate::event::{Event, Key as _};
use crate::publisher::PreparedEvent;

/// A transaction that is being put together. Cheap to clone; works from the closure it was given to until that returns.
///
/// [`save`](Self::save) and [`publish`](Self::publish) only take note: everything is written in one short transaction once the
/// closure returns `Ok`. What goes wrong with them is returned by [`atomically`](Database::atomically).
///
/// A handler takes one behind its payload, `tx: Transaction`. It is open from before the handler begins, and commits once the
/// handler has said that it is done; what goes wrong then has the event delivered again. The event is remembered as handled in
/// it, so its effects happen once: see [`inbox`](super::inbox).
#[derive(Clone)]
pub struct Transaction {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    buffer: Mutex<Buffer>,
    open: Arc<AsyncMutex<Option<OpenTransaction>>>,
    /// Whether [`Transaction::load`] locks what it reads.
    locks_reads: bool,
}

/// An entity, whatever its type: the type and the key.
type EntityId = (TypeId, String);

/// What a closure has asked for.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) writes: Vec<PendingWrite>,
    pub(super) events: Vec<PreparedEvent>,
    /// The first thing of the framework's own that failed. It decides, whatever the closure makes of it.
    failure: Option<Error>,
    versions: FxHashMap<EntityId, u64>,
    /// The keys whose shard this has to be, where there are several.
    pub(super) of: Vec<String>,
    ended: bool,
}

pub(super) struct PendingWrite {
    id: EntityId,
    pub(super) expected: Option<u64>,
    pub(super) entity: Box<dyn WriteEntity>,
}

/// A transaction whose closure has returned.
pub(super) struct Ended {
    pub(super) buffer: Result<Buffer, Error>,
    pub(super) open: Option<OpenTransaction>,
}

impl Transaction {
    pub(super) fn new(database: &Database, of: Option<&str>) -> Self {
        let (database, buffer) =
            (database.clone(), Mutex::new(Buffer::of(of.map(str::to_owned).into_iter().collect())));
        let shared = Shared { database, buffer, open: Arc::default(), locks_reads: false };
        Self { shared: Arc::new(shared) }
    }

    /// A transaction that is open already, a handler's. `of` are the keys whose shard this has to be.
    pub(super) fn opened(database: &Database, open: OpenTransaction, of: Vec<String>) -> Self {
        let shared = Shared {
            database: database.clone(),
            buffer: Mutex::new(Buffer::of(of)),
            open: Arc::new(AsyncMutex::new(Some(open))),
            locks_reads: database.options.locking == Locking::ForUpdate,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The database it runs on.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Write `entity` when the transaction commits, if nobody else has written it since it was read; insert it if it was not
    /// found, or not read. Saved twice, the last one is written.
    pub fn save<A: Entity>(&self, entity: &A) {
        self.write("save", entity_id::<A>(entity.key()), Box::new(Save(entity.clone())));
    }

    /// Delete `entity` when the transaction commits, if nobody else has written it since it was read; whatever its version is, and
    /// whether or not it is there, if it was not read. Of saves and deletes of one entity, the last counts.
    pub fn delete<A: DeleteEntity>(&self, entity: &A) {
        self.write("delete", entity_id::<A>(entity.key()), Box::new(Delete(entity.clone())));
    }

    fn write(&self, what: &str, id: EntityId, entity: Box<dyn WriteEntity>) {
        self.note(what, |buffer| {
            if let Some(write) = buffer.writes.iter_mut().find(|write| write.id == id) {
                write.entity = entity;
            } else {
                let expected = buffer.versions.get(&id).copied();
                buffer.writes.push(PendingWrite { id, expected, entity });
            }
        });
    }

    /// Publish `event` when the transaction commits. Events of one stream are numbered in the order of these calls.
    pub fn publish<E: Event>(&self, event: &E) {
        let prepared = match &self.shared.database.publisher {
            None => Err(Error::NoPublisher),
            Some(publisher) => publisher.prepare(event).map_err(Error::from),
        };
        self.note("publish", |buffer| match prepared {
            Ok(event) => buffer.events.push(event),
            Err(error) => buffer.fail(error),
        });
    }

    /// Read another entity, and remember its version for [`save`](Self::save). Only what is saved is checked for changes. In a
    /// handler's transaction it is locked too, where the database's options say [`Locking::ForUpdate`].
    ///
    /// # Errors
    /// [`Error::Doomed`]: the transaction cannot go on; its cause is returned by the call that runs it.
    pub async fn load<A: Entity>(&self, key: &A::Key) -> Result<Option<A>, Error> {
        let loaded = self.read::<A>(key, self.shared.locks_reads).await;
        self.keep(loaded)
    }

    /// The transaction's connection, for the caller's own SQL. The transaction opens now, and stays open until the closure
    /// returns: do not wait for anything else meanwhile. Give the connection back (drop it) before taking it again.
    ///
    /// Where a statement of the caller's is a deadlock's victim (1213) the whole transaction is gone; where it waits for a lock for
    /// too long (1205), what it did is. If the closure returns an error then, whichever, it runs again; after a 1205 only if it has
    /// run no other statement since.
    ///
    /// # Errors
    /// [`Error::Doomed`], as for [`load`](Self::load).
    #[cfg(feature = "mysql")]
    pub async fn mysql(&self) -> Result<TransactionConnection<sqlx::MySqlConnection>, Error> {
        let opened = self.open("MySQL").await;
        let guard = self.keep(opened)?;
        let connection = OwnedMutexGuard::try_map(guard, |open| match open {
            Some(OpenTransaction::MySql(transaction)) => Some(&mut **transaction),
            _ => None,
        });
        connection.map(TransactionConnection).map_err(|_| Error::Doomed)
    }

    /// The transaction's connection, for the caller's own SQL. The transaction opens now, and stays open until the closure
    /// returns: do not wait for anything else meanwhile. Give the connection back (drop it) before taking it again.
    ///
    /// # Errors
    /// [`Error::Doomed`], as for [`load`](Self::load).
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(&self) -> Result<TransactionConnection<sqlx::SqliteConnection>, Error> {
        let opened = self.open("SQLite").await;
        let guard = self.keep(opened)?;
        let connection = OwnedMutexGuard::try_map(guard, |open| match open {
            Some(OpenTransaction::Sqlite(transaction)) => Some(&mut **transaction),
            _ => None,
        });
        connection.map(TransactionConnection).map_err(|_| Error::Doomed)
    }

    /// Read the entity this transaction is about, and lock it first if `lock`.
    pub(super) async fn read<A: Entity>(&self, key: &A::Key, lock: bool) -> Result<Option<A>, Error> {
        let read = if lock {
            let mut open = self.open(self.shared.database.kind()).await?;
            match &mut *open {
                Some(open) => A::load_for_update(open.connection(), key).await,
                None => return Err(Error::Doomed),
            }
        } else {
            let mut open = Arc::clone(&self.shared.open).lock_owned().await;
            match &mut *open {
                // Through the open transaction, so that it sees its own writes.
                Some(open) => A::load(open.connection(), key).await,
                None => {
                    drop(open);
                    load_from_pool::<A>(&self.shared.database.pool, key).await
                }
            }
        };
        let found = read.map_err(|error| sql_error("reading an entity", error))?;
        Ok(found.map(|Versioned { entity, version }| {
            let id = entity_id::<A>(key);
            self.note("load", |buffer| {
                buffer.versions.insert(id, version);
            });
            entity
        }))
    }

    /// Take what the closure asked for; nothing more is taken from here on.
    pub(super) fn end(&self) -> Ended {
        let mut buffer = std::mem::take(&mut *self.shared.buffer.lock());
        self.shared.buffer.lock().ended = true;
        let (open, held) = match self.shared.open.try_lock() {
            Ok(mut open) => (open.take(), false),
            Err(_) => (None, true),
        };
        let buffer = match buffer.failure.take() {
            Some(failure) => Err(failure),
            None if held => Err(Error::ConnectionHeld),
            None => Ok(buffer),
        };
        Ended { buffer, open }
    }

    async fn open(&self, kind: &'static str) -> Result<OwnedMutexGuard<Option<OpenTransaction>>, Error> {
        let database = &self.shared.database;
        if kind != database.kind() {
            return Err(Error::WrongKind { wanted: kind, actual: database.kind() });
        }
        let mut open = Arc::clone(&self.shared.open).lock_owned().await;
        if self.shared.buffer.lock().ended {
            return Err(Error::Over);
        }
        if open.is_none() {
            let begun = OpenTransaction::begin(&database.pool).await;
            *open = Some(begun.map_err(|error| sql_error("opening a transaction", error))?);
        }
        Ok(open)
    }

    fn note(&self, what: &str, take: impl FnOnce(&mut Buffer)) {
        let mut buffer = self.shared.buffer.lock();
        if buffer.ended {
            tracing::error!("`{what}` was called on a transaction that is over, and is ignored");
        } else {
            take(&mut buffer);
        }
    }

    /// Keep an error as what decides the transaction, and hand the closure a stand-in.
    fn keep<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| {
            if matches!(error, Error::Over) {
                return error;
            }
            self.shared.buffer.lock().fail(error);
            Error::Doomed
        })
    }
}

impl Buffer {
    fn of(keys: Vec<String>) -> Self {
        Self { of: keys, ..Self::default() }
    }

    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }
}

fn entity_id<A: Entity>(key: &A::Key) -> EntityId {
    (TypeId::of::<A>(), key.to_key().into_owned())
}

async fn load_from_pool<A: Entity>(pool: &Pool, key: &A::Key) -> Result<Option<Versioned<A>>, sqlx::Error> {
    match pool {
        #[cfg(feature = "mysql")]
        Pool::MySql(pool) => A::load(Connection::MySql(&mut *pool.acquire().await?), key).await,
        #[cfg(feature = "sqlite")]
        Pool::Sqlite(pool) => A::load(Connection::Sqlite(&mut *pool.acquire().await?), key).await,
    }
}

/// An error of a statement inside a transaction, with its conflicts told apart.
pub(super) fn sql_error(doing: &'static str, source: sqlx::Error) -> Error {
    match Failure::of(&source) {
        Failure::Conflict => Error::Conflict { attempts: 1, source: Some(source) },
        Failure::EndedFromWithin => Error::EndedFromWithin,
        _ => Error::sql(doing)(source),
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffer = self.shared.buffer.lock();
        formatter
            .debug_struct("Transaction")
            .field("writes", &buffer.writes.len())
            .field("events", &buffer.events.len())
            .field("ended", &buffer.ended)
            .finish_non_exhaustive()
    }
}

/// The connection of an open transaction; dereferences to sqlx's, so `&mut *connection` is an executor.
pub struct TransactionConnection<C>(OwnedMappedMutexGuard<Option<OpenTransaction>, C>);

impl<C> Deref for TransactionConnection<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> DerefMut for TransactionConnection<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.0
    }
}

impl<C> fmt::Debug for TransactionConnection<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TransactionConnection").finish_non_exhaustive()
    }
}
