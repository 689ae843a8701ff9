//! Asking the inbox about an event, with what the answer rests on locked until the transaction ends.

use std::time::Duration;

use super::identity::{EventIdentity, Identity};
use super::rules::{Latest, Verdict, judge};
use crate::database::error::Failure;
use crate::database::open::OpenTransaction;
use crate::database::pool::Row;
use crate::database::sql::Dialect;

/// The sequence of a row that was only inserted to be locked.
const NOTHING: i64 = -1;

/// What was learnt of an event, and the statements that remember it.
pub(super) struct Admission {
    pub(super) verdict: Verdict,
    /// Run with the commit of the handler's transaction.
    pub(super) statements: Vec<String>,
}

/// What is to be run before a transaction's first question, if anything.
///
/// A server ends the transaction once nothing was heard from it for `abandoned_after`: that of a machine that died would lock its
/// streams for as long as the network takes to notice, which may be hours.
pub(super) fn opening(dialect: Dialect, abandoned_after: Duration) -> Vec<String> {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => {
            vec![format!("SET SESSION wait_timeout = {}", abandoned_after.as_secs().clamp(1, 2_147_483))]
        }
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let _ = abandoned_after;
            Vec::new()
        }
    }
}

/// Ask in the transaction `open`, with the statements `first` run before it. Whoever asks about the same stream before it ends is
/// refused, as a conflict: nobody holds a connection while waiting for another process.
pub(super) async fn ask(
    open: &mut OpenTransaction,
    dialect: Dialect,
    identity: &Identity,
    first: Vec<String>,
) -> Result<Admission, sqlx::Error> {
    let begin: String = first.into_iter().map(|statement| statement + ";").collect();
    match &identity.event {
        EventIdentity::Single { event_id } => {
            let (owner, now) = (identity.owner_values(dialect), dialect.now());
            let id = dialect.text(event_id);
            let insert = format!(
                "{begin}INSERT INTO tidings_inbox_event (consumer_group, dispatcher, source, event_id, handled_at) \
                 VALUES ({owner}, {id}, {now})"
            );
            let verdict = match open.query(insert).await {
                Ok(_) => Verdict::Newer,
                Err(error) if Failure::of(&error) == Failure::Duplicate => Verdict::Repeat,
                Err(error) => return Err(error),
            };
            Ok(Admission { verdict, statements: Vec::new() })
        }
        EventIdentity::Sequenced { stream, place } => {
            let stream = StreamRow { dialect, identity, stream, place };
            let (latest, passed_over) = stream.lock(open, &begin).await?;
            let verdict = judge(latest.as_ref(), passed_over, place);
            let mut statements = Vec::new();
            if verdict == Verdict::Newer {
                statements.push(stream.raise());
            }
            if passed_over {
                statements.push(stream.forget_hole());
            }
            Ok(Admission { verdict, statements })
        }
    }
}

/// Remember in the transaction `open` that the event of `identity` was passed over, unless it was handled; the statements to
/// commit with. An event without a sequence needs no such memory.
pub(super) async fn pass_over(
    open: &mut OpenTransaction,
    dialect: Dialect,
    identity: &Identity,
) -> Result<Vec<String>, sqlx::Error> {
    let EventIdentity::Sequenced { stream, place } = &identity.event else { return Ok(Vec::new()) };
    let stream = StreamRow { dialect, identity, stream, place };
    let (latest, passed_over) = stream.lock(open, "").await?;
    Ok(match judge(latest.as_ref(), passed_over, place) {
        // A redelivery in the place of the latest is told from a repeat by its hole, so the place is taken now.
        Verdict::Newer if passed_over => vec![stream.raise()],
        Verdict::Newer => vec![stream.raise(), stream.add_hole()],
        Verdict::Fork => vec![stream.add_hole()],
        Verdict::PassedOver | Verdict::Repeat => Vec::new(),
    })
}

/// A stream's row, and an event that has a place in it.
struct StreamRow<'a> {
    dialect: Dialect,
    identity: &'a Identity,
    stream: &'a str,
    place: &'a Latest,
}

impl StreamRow<'_> {
    /// Lock the row; what it says, and whether the event was passed over. `begin` is run first. One round trip, unless the stream
    /// is new.
    async fn lock(&self, open: &mut OpenTransaction, begin: &str) -> Result<(Option<Latest>, bool), sqlx::Error> {
        let dialect = self.dialect;
        // SQLite locks the whole database when the transaction begins.
        let lock = match dialect {
            #[cfg(feature = "mysql")]
            Dialect::MySql => "FOR UPDATE NOWAIT",
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "",
        };
        let (row, hole) = (self.condition(), self.hole_condition());
        let select = format!(
            "SELECT 0, epoch, sequence, event_id FROM tidings_inbox WHERE {row} {lock};\
             SELECT 1, 0, 0, '' FROM tidings_inbox_hole WHERE {hole} LIMIT 1"
        );
        let found = Found::of(&open.query(format!("{begin}{select}")).await?)?;
        if let Some(latest) = found.latest {
            return Ok((Some(latest).filter(|latest| latest.sequence != NOTHING), found.hole));
        }
        // Only rows can be locked. Whoever is second here waits for the first.
        let insert = format!(
            "INSERT INTO tidings_inbox (consumer_group, dispatcher, source, stream, epoch, sequence, event_id, handled_at) \
             VALUES ({owner}, {stream}, 0, {NOTHING}, '', {now}) {on_duplicate} sequence = tidings_inbox.sequence",
            owner = self.identity.owner_values(dialect),
            stream = dialect.text(self.stream),
            now = dialect.now(),
            on_duplicate = dialect.on_duplicate(),
        );
        let Found { latest, hole } = Found::of(&open.query(format!("{insert};{select}")).await?)?;
        Ok((latest.filter(|latest| latest.sequence != NOTHING), hole))
    }

    fn condition(&self) -> String {
        format!("{} AND stream = {}", self.identity.owner_condition(self.dialect), self.dialect.text(self.stream))
    }

    fn hole_condition(&self) -> String {
        let Latest { epoch, sequence, event_id } = self.place;
        let event_id = self.dialect.text(event_id);
        format!("{} AND epoch = {epoch} AND sequence = {sequence} AND event_id = {event_id}", self.condition())
    }

    /// The event is the latest.
    fn raise(&self) -> String {
        let Latest { epoch, sequence, event_id } = self.place;
        format!(
            "UPDATE tidings_inbox SET epoch = {epoch}, sequence = {sequence}, event_id = {id}, handled_at = {now} WHERE {row}",
            id = self.dialect.text(event_id),
            now = self.dialect.now(),
            row = self.condition(),
        )
    }

    fn add_hole(&self) -> String {
        let Latest { epoch, sequence, event_id } = self.place;
        format!(
            "INSERT INTO tidings_inbox_hole (consumer_group, dispatcher, source, stream, epoch, sequence, event_id, passed_at) \
             VALUES ({owner}, {stream}, {epoch}, {sequence}, {id}, {now})",
            owner = self.identity.owner_values(self.dialect),
            stream = self.dialect.text(self.stream),
            id = self.dialect.text(event_id),
            now = self.dialect.now(),
        )
    }

    fn forget_hole(&self) -> String {
        format!("DELETE FROM tidings_inbox_hole WHERE {}", self.hole_condition())
    }
}

/// What the rows of a look-up say.
struct Found {
    latest: Option<Latest>,
    hole: bool,
}

impl Found {
    fn of(rows: &[Row]) -> Result<Self, sqlx::Error> {
        let mut found = Self { latest: None, hole: false };
        for row in rows {
            if row.integer(0)? == 1 {
                found.hole = true;
            } else {
                let epoch = u32::try_from(row.integer(1)?).unwrap_or(u32::MAX);
                found.latest = Some(Latest { epoch, sequence: row.integer(2)?, event_id: row.text(3)? });
            }
        }
        Ok(found)
    }
}
