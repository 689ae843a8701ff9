//! What can go wrong with a database.

use crate::event::Stream;
use crate::publisher::PublishError;

/// A database could not be reached, or a transaction did not take effect.
///
/// After [`CommitUnknown`](Self::CommitUnknown) the transaction may have taken effect; after every other error it has not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be used.
    #[error("the database URL cannot be used: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers.
    #[error("no database answers at {address}; check that it runs and that the address is right")]
    Unreachable {
        /// Host and port, or the file.
        address: String,
        /// What the client says.
        #[source]
        source: sqlx::Error,
    },
    /// The server refuses the user.
    #[error("access denied for user '{user}' at {address}; check the password and the user's grants")]
    AccessDenied {
        /// The user.
        user: String,
        /// Host and port.
        address: String,
    },
    /// The server has no such database.
    #[error("there is no database '{database}' at {address}; create it, or correct the URL")]
    UnknownDatabase {
        /// The database's name.
        database: String,
        /// Host and port.
        address: String,
    },
    /// The tables are missing or old.
    #[error(
        "the tables of tidings are at version {found} and this build needs version {wanted}; run `tidings migrate`"
    )]
    NotMigrated {
        /// The version that was found; 0 when there are no tables.
        found: u32,
        /// The version this build needs.
        wanted: u32,
    },
    /// The tables could not be created or changed.
    #[error("migration {version} of the tables of tidings failed")]
    Migration {
        /// The migration.
        version: u32,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// All connections stayed in use, or no new one could be made, for the options' `acquire_timeout`.
    #[error(
        "no database connection became free in time; see whether the database answers, raise max_connections, or hold \
         connections for less time"
    )]
    NoConnection,
    /// Other writers won, time and again.
    #[error("the transaction was still in conflict with other writers after {attempts} attempts")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
        /// The last conflict, where the database reported it.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The connection was lost after `COMMIT` was sent.
    #[error("the connection was lost after COMMIT was sent: the transaction may or may not have taken effect")]
    CommitUnknown {
        /// What the client says.
        #[source]
        source: sqlx::Error,
    },
    /// A statement ended the transaction before its end.
    #[error(
        "the transaction was ended from within, by COMMIT, ROLLBACK, a statement that commits implicitly, or an error that \
         was ignored; nothing was published"
    )]
    EndedFromWithin,
    /// The connection of the transaction is still in use after its end.
    #[error("the connection taken from the transaction is still held at its end; drop it before the closure returns")]
    ConnectionHeld,
    /// The transaction cannot go on. What a closure sees of an error that decides its transaction; the call that runs the
    /// closure returns the error itself, or runs the closure again.
    #[error("the transaction cannot go on; the call that runs it says why")]
    Doomed,
    /// The handle was used after its transaction had ended.
    #[error("the transaction is over; use its handle only inside the closure it was given to")]
    Over,
    /// The transaction runs on another kind of database.
    #[error("the connection asked for is {wanted}, but this database is {actual}")]
    WrongKind {
        /// The kind asked for.
        wanted: &'static str,
        /// The kind it is.
        actual: &'static str,
    },
    /// The event that was to be skipped goes to the event store, which would wait for it for ever.
    #[error(
        "event {sequence} of stream {stream} cannot be skipped: the event store takes no later event of epoch {epoch} without it. \
         Mend it and put it back (`tidings outbox retry`); or begin a new epoch (`tidings outbox new-epoch`), and skip then what is \
         parked of the old one"
    )]
    NotSkippable {
        /// The stream.
        stream: Stream,
        /// The epoch, which is the stream's present one.
        epoch: u32,
        /// The event's position.
        sequence: u64,
    },
    /// Nothing says how events are published.
    #[error("events cannot be published: this database has no publisher; give it one with `Database::with_publisher`")]
    NoPublisher,
    /// An event could not be prepared: its payload cannot be encoded, or it is larger than its topic takes.
    #[error("an event could not be prepared for publishing")]
    Publish(#[from] PublishError),
    /// A name does not fit its column.
    #[error("the {what} '{name}' cannot be stored: {reason}")]
    Name {
        /// What it names.
        what: &'static str,
        /// The name, cut to 64 characters.
        name: String,
        /// Why.
        reason: String,
    },
    /// A stream was published in another way before.
    #[error(
        "stream {stream} has {what} '{recorded}', and this event says '{wanted}'; a stream keeps its {what} until an \
         operator changes it{}", remedy(.what)
    )]
    StreamDisagrees {
        /// The stream.
        stream: Stream,
        /// `mode`, `shard` or `key`.
        what: &'static str,
        /// What its row says.
        recorded: String,
        /// What this event says.
        wanted: String,
    },
    /// A stream's mode cannot be changed yet.
    #[error(
        "stream {stream} keeps its mode '{recorded}': {waiting} of its events are still in the outbox and {parked} are parked{}; see that \
         a relay runs, decide what becomes of those parked (`tidings outbox ls`), and try again", others(*.streams)
    )]
    StreamUnpublished {
        /// The stream; the first of them by name, where there are several.
        stream: Stream,
        /// The mode its row says.
        recorded: String,
        /// How many of its events wait in the outbox.
        waiting: u64,
        /// How many were refused, or wait behind one that was.
        parked: u64,
        /// How many streams there are that have such events.
        streams: u64,
    },
    /// The key lives on another shard, or is on its way there.
    #[error(
        "key {key} does not live on shard '{here}': it lives on '{shard}', or is on its way there; run its transactions there"
    )]
    KeyElsewhere {
        /// The key.
        key: String,
        /// The shard it was looked for on.
        here: String,
        /// The shard it lives on, or is on its way to.
        shard: String,
    },
    /// No shard is known for the key.
    #[error("key {key} has no shard{}; correct how keys are placed, or connect to that shard", named(shard.as_deref()))]
    NoShard {
        /// The key.
        key: String,
        /// The shard it was placed on, which is not among those there are.
        shard: Option<String>,
    },
    /// Databases cannot be shards together.
    #[error("these databases cannot be shards together: {reason}")]
    Shards {
        /// Why.
        reason: String,
    },
    /// Keys were spread over shards in another way before.
    #[error(
        "the database of shard '{shard}' remembers that it is {recorded}, and here it would be {wanted}; keys would be looked for \
         where they are not. Correct the configuration, or move the keys and accept the new layout"
    )]
    Layout {
        /// The shard.
        shard: String,
        /// What the database remembers.
        recorded: String,
        /// What the configuration says.
        wanted: String,
    },
    /// A key cannot be moved to another shard yet.
    #[error(
        "key {key} stays where it is: {waiting} of its events are still in the outbox and {parked} are parked; see that a relay runs, \
         decide what becomes of those parked, and try again"
    )]
    Unpublished {
        /// The key.
        key: String,
        /// How many events wait in the outbox.
        waiting: i64,
        /// How many Kafka has refused.
        parked: i64,
    },
    /// The service's own rows of a key could not be carried to another shard.
    #[error(
        "the service's own rows could not be carried to the other shard; the key is closed until the move is run again"
    )]
    Carry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A statement failed.
    #[error("{doing} failed")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
}

impl Error {
    /// Whether it is that `key` lives elsewhere.
    pub(crate) fn is_about(&self, key: &str) -> bool {
        matches!(self, Self::KeyElsewhere { key: elsewhere, .. } if elsewhere == key)
    }

    pub(crate) fn sql(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match source {
            sqlx::Error::PoolTimedOut => Self::NoConnection,
            source => Self::Sql { doing, source },
        }
    }
}

fn named(shard: Option<&str>) -> String {
    shard.map(|shard| format!(" that is known: '{shard}' is not among them")).unwrap_or_default()
}

fn remedy(what: &str) -> &'static str {
    if what == "mode" { " (`tidings outbox new-epoch --mode`)" } else { "" }
}

fn others(streams: u64) -> String {
    match streams {
        0 | 1 => String::new(),
        2 => ", and so it is with 1 other stream".to_owned(),
        streams => format!(", and so it is with {} other streams", streams - 1),
    }
}

/// The longest name in an error message, in characters.
const SHOWN: usize = 64;

/// Check that `name` fits a column of `limit` bytes and survives the round trip.
pub(crate) fn check_name(what: &'static str, name: &str, limit: usize) -> Result<(), Error> {
    let reason = if name.len() > limit {
        format!("it is {} bytes and {limit} fit", name.len())
    } else if name.ends_with(' ') {
        // The database compares text without regard to spaces at its end.
        "it ends with a space".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Name { what, name: name.chars().take(SHOWN).collect(), reason })
}

/// The savepoint that every transaction begins with.
#[cfg(feature = "mysql")]
const SAVEPOINT: &str = "tidings_open";

/// What a statement's error means for the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Another writer was first, or the server chose this transaction as a deadlock's victim: run again.
    Conflict,
    /// The connection broke before `COMMIT` was sent, so nothing took effect: run again.
    ConnectionLost,
    /// A row with this unique key exists.
    Duplicate,
    /// The savepoint set at the start is gone: the transaction was ended from within.
    EndedFromWithin,
    /// A check constraint.
    Check,
    /// The tables are missing.
    NoTables,
    /// Anything else.
    Other,
}

impl Failure {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        let error = match error {
            sqlx::Error::Database(error) => error,
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => return Self::ConnectionLost,
            _ => return Self::Other,
        };
        #[cfg(feature = "mysql")]
        if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            match error.number() {
                // Deadlock; lock wait timeout; a lock that is not waited for; MariaDB's "record has changed since last read".
                1213 | 1205 | 3572 | 1020 => return Self::Conflict,
                // Shutdown in progress; connection killed, in MySQL's and MariaDB's words.
                1053 | 3169 | 1927 | 4031 => return Self::ConnectionLost,
                // Something does not exist, as the message says in the server's language: a function, say, or a savepoint.
                1305 if error.message().contains(SAVEPOINT) => return Self::EndedFromWithin,
                1146 => return Self::NoTables,
                _ => {}
            }
        }
        #[cfg(feature = "sqlite")]
        if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            // The lowest byte of an extended result code is the primary one: 5 is BUSY, 6 is LOCKED.
            let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
            if matches!(code & 0xff, 5 | 6) {
                return Self::Conflict;
            }
            if error.message().starts_with("no such savepoint") {
                return Self::EndedFromWithin;
            }
            if error.message().starts_with("no such table: tidings_") {
                return Self::NoTables;
            }
        }
        match error.kind() {
            sqlx::error::ErrorKind::UniqueViolation => Self::Duplicate,
            sqlx::error::ErrorKind::CheckViolation => Self::Check,
            _ => Self::Other,
        }
    }

    /// Whether nothing took effect and the same transaction may succeed.
    pub(crate) const fn may_run_again(self) -> bool {
        matches!(self, Self::Conflict | Self::ConnectionLost)
    }
}

/// Whether nothing took effect and the same statements may succeed.
#[cfg(all(feature = "consumer", any(feature = "mysql", feature = "sqlite")))]
pub(crate) fn may_run_again(error: &sqlx::Error) -> bool {
    Failure::of(error).may_run_again()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_measured_in_bytes() {
        assert!(check_name("stream", &"ä".repeat(127), 255).is_ok());
        let error = check_name("stream", &"ä".repeat(128), 255).unwrap_err().to_string();
        assert!(error.contains("256 bytes and 255 fit"), "{error}");
    }

    #[test]
    fn a_name_that_ends_with_a_space_is_refused() {
        assert!(check_name("key", "42 ", 255).is_err());
    }
}
