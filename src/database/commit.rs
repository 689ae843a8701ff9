//! Writing what a transaction asked for: the entities, then the streams' rows, then the events, then the commit.

use super::error::Failure;
use super::events::Events;
use super::open::{CommitFailure, OpenTransaction};
use super::shards::guard::Keys;
use super::transaction::{Buffer, sql_error};
use super::{Database, Error, Saved};
use crate::fault_point;

/// Write `buffer` and commit, opening a transaction if none is open yet. `statements` run behind the entities.
pub(super) async fn commit(
    database: &Database,
    buffer: Buffer,
    open: Option<OpenTransaction>,
    mut statements: Vec<String>,
) -> Result<(), Error> {
    let Buffer { writes, events, of, .. } = buffer;
    if writes.is_empty() && events.is_empty() && open.is_none() {
        return Ok(());
    }
    // The registry may be asked here: before the transaction opens, unless it is a handler's, or the caller's own SQL opened it.
    let events = match Events::of(database, events).await {
        Ok(events) => events,
        Err(error) => {
            if let Some(open) = open {
                let _ = open.roll_back().await;
            }
            return Err(error);
        }
    };
    let keys = match Keys::of(database, events.keys().chain(of.iter().map(String::as_str))) {
        Ok(keys) => keys,
        Err(error) => {
            if let Some(open) = open {
                let _ = open.roll_back().await;
            }
            return Err(error);
        }
    };
    let mut guarded = keys.statements(database.pool.dialect());
    guarded.append(&mut statements);
    guarded.extend(events.statements(database));

    let mut open = match open {
        Some(open) => open,
        None => {
            let begun = OpenTransaction::begin(&database.pool).await;
            begun.map_err(|error| sql_error("opening a transaction", error))?
        }
    };
    for write in writes {
        let written = write.entity.write_in(open.connection(), write.expected).await;
        let conflict = match written {
            Ok(Saved::Done) => continue,
            Ok(Saved::Conflict) => Error::Conflict { attempts: 1, source: None },
            // Somebody else created it since it was not found.
            Err(error) if write.expected.is_none() && Failure::of(&error) == Failure::Duplicate => {
                Error::Conflict { attempts: 1, source: Some(error) }
            }
            Err(error) => sql_error("saving an entity", error),
        };
        // ROLLBACK before anything else: a lock wait that timed out has undone its statement only.
        let _ = open.roll_back().await;
        return Err(conflict);
    }

    end(database, open, events, keys, guarded).await
}

/// Write events and nothing else.
pub(super) async fn record(database: &Database, events: Events) -> Result<(), Error> {
    let keys = Keys::of(database, events.keys())?;
    let mut statements = keys.statements(database.pool.dialect());
    statements.extend(events.statements(database));
    let begun = OpenTransaction::begin(&database.pool).await;
    let open = begun.map_err(|error| sql_error("opening a transaction", error))?;
    end(database, open, events, keys, statements).await
}

async fn end(
    database: &Database,
    open: OpenTransaction,
    events: Events,
    keys: Keys,
    statements: Vec<String>,
) -> Result<(), Error> {
    fault_point::reach("before commit");
    match open.commit(statements).await {
        Ok(()) => fault_point::reach("after commit"),
        Err(CommitFailure::Statement(error)) if Failure::of(&error) == Failure::Duplicate => {
            return Err(match keys.elsewhere(database).await {
                Some(elsewhere) => elsewhere,
                // It has come back since: the next attempt finds it here. MariaDB does not say which table it was; where it was
                // another, the next attempt fails in the same way, and is the last.
                None if !keys.is_empty() => {
                    let moved = error.to_string().contains("tidings_moved_key");
                    Error::Conflict { attempts: 1, source: Some(error).filter(|_| !moved) }
                }
                None => sql_error("committing", error),
            });
        }
        Err(CommitFailure::Statement(error)) if Failure::of(&error) == Failure::Check => {
            return Err(match events.disagreement(database).await {
                Some(disagreement) => disagreement,
                None => sql_error("committing", error),
            });
        }
        Err(failure) => return Err(failure.into()),
    }
    events.after_commit(database).await;
    Ok(())
}

impl From<CommitFailure> for Error {
    fn from(failure: CommitFailure) -> Self {
        match failure {
            CommitFailure::Unknown(source) => Self::CommitUnknown { source },
            CommitFailure::Statement(error) => sql_error("committing", error),
        }
    }
}
