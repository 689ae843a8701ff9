//! Putting parked events back, in order, or letting go of one.

use std::fmt::Write as _;

use super::{ParkedEvent, SHARED_COLUMNS, WAITS, condition, first_parked};
use crate::database::open::{CommitFailure, OpenTransaction};
use crate::database::sql::{Dialect, push_list};
use crate::database::{Attempts, Database, Error};
use crate::event::StreamId;
use crate::outbox::keys::{KeyList, deletion, is_one_of};
use crate::outbox::row::{BEHIND_A_PARKED_EVENT, RowId};
use crate::outbox::table::OutboxTable;
use crate::transport::Target;

/// The most events put back in one transaction.
const AT_ONCE: usize = 500;

/// What became of a stream's parked events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Released {
    /// How many are back in the outbox: those that were parked, and those that waited in the outbox behind them.
    pub events: u64,
    /// The event that was let go of.
    pub skipped: Option<ParkedEvent>,
    /// How many were let go of: it alone, or all of an epoch that is over.
    pub forgotten: u64,
}

/// Put all parked events of `stream` back into the outbox of `database`: its relay publishes them in the order of their sequences,
/// before what came since. One that Kafka refuses again is parked again, and those behind it with it; it is not put back a second time.
///
/// # Errors
/// [`Error::Sql`]. What was put back until then stays so, and is the beginning of what was parked.
pub async fn retry_parked(database: &Database, stream: &StreamId) -> Result<Released, Error> {
    let (mut events, mut last) = (0, None);
    let mut attempts = Attempts::new(database.options.max_attempts);
    loop {
        let step = match step(database, stream, last.as_ref()).await {
            Ok(step) => step,
            // Another transaction was in its way.
            Err(error) => {
                attempts.again(error).await?;
                continue;
            }
        };
        attempts = Attempts::new(database.options.max_attempts);
        match step {
            Step::Nothing => return Ok(Released { events, skipped: None, forgotten: 0 }),
            Step::Gathered => {}
            Step::PutBack { events: some, last: place } => {
                events += some;
                last = Some(place);
            }
        }
    }
}

/// Let go of the first parked event of `stream` for good, and put the others back. Consumers see a gap in the stream's sequence.
///
/// An event that goes to the event store is let go of only once its epoch is over ([`raise_epochs`](crate::outbox::raise_epochs)), and
/// with it whatever else is parked of that epoch: the store takes nothing behind a gap.
///
/// # Errors
/// [`Error::NotSkippable`]: it goes to the event store, and its epoch is the stream's; [`Error::Sql`], as for [`retry_parked`].
pub async fn skip_parked(database: &Database, stream: &StreamId) -> Result<Released, Error> {
    let Some(first) = first_parked(database, stream).await? else {
        return Ok(Released { events: 0, skipped: None, forgotten: 0 });
    };
    let which = forgotten_with(database, &first).await?;
    let forgotten = forget(database, stream, &which).await.map_err(Error::sql("skipping a parked event"))?;
    let released = retry_parked(database, stream).await?;
    Ok(Released { skipped: (forgotten > 0).then_some(first), forgotten, ..released })
}

/// Delete the parked events of `stream` of which `which` is true. A relay that is about to park one behind them waits, and finds that
/// nothing is before it any more.
async fn forget(database: &Database, stream: &StreamId, which: &str) -> Result<u64, sqlx::Error> {
    let buckets = buckets(&OutboxTable::new(database.pool.clone()), stream).await?;
    if buckets.is_empty() {
        return Ok(0);
    }
    let mut open = OpenTransaction::begin(&database.pool).await?;
    open.query(locked(&buckets)).await?;
    let counted = open.query(format!("SELECT COUNT(*) FROM tidings_outbox_parked WHERE {which}")).await?;
    let count = counted.first().map_or(Ok(0), |row| row.integer(0))?;
    let delete = format!("DELETE FROM tidings_outbox_parked WHERE {which}");
    open.commit(vec![delete]).await.map_err(CommitFailure::into_source)?;
    Ok(count.unsigned_abs())
}

/// How many parked events of `stream` [`skip_parked`] would let go of.
///
/// # Errors
/// As there.
pub async fn skippable(database: &Database, stream: &StreamId) -> Result<u64, Error> {
    let Some(first) = first_parked(database, stream).await? else { return Ok(0) };
    let which = forgotten_with(database, &first).await?;
    let count = async {
        let rows = database.pool.query(format!("SELECT COUNT(*) FROM tidings_outbox_parked WHERE {which}")).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.integer(0))?.unsigned_abs())
    };
    count.await.map_err(Error::sql("counting parked events"))
}

/// What is true of the parked events that are let go of with `first`.
async fn forgotten_with(database: &Database, first: &ParkedEvent) -> Result<String, Error> {
    let dialect = database.pool.dialect();
    if first.target != Target::Store {
        return Ok(format!("event_id = {}", dialect.text(&first.event_id)));
    }
    let ParkedEvent { stream, epoch, sequence, .. } = first;
    let present = async {
        let name = dialect.text(stream.stream.as_str());
        let rows = database.pool.query(format!("SELECT epoch FROM tidings_stream WHERE stream = {name}")).await?;
        rows.first().map(|row| row.integer(0)).transpose()
    };
    let present = present.await.map_err(Error::sql("reading the epoch of a stream"))?;
    if present.is_none_or(|present| present <= i64::from(*epoch)) {
        return Err(Error::NotSkippable { stream: stream.stream.clone(), epoch: *epoch, sequence: *sequence });
    }
    Ok(format!("{} AND epoch = {epoch} AND target = '{}'", condition(dialect, stream), Target::Store.as_str()))
}

/// The place of an event in its stream.
type Place = (i64, String);

/// What one transaction did.
enum Step {
    /// Nothing is left to be put back.
    Nothing,
    /// Events that wait in the outbox were moved behind those that are parked.
    Gathered,
    PutBack {
        events: u64,
        last: Place,
    },
}

/// One step of putting back what is parked of a stream, unless it is there again: at or below `last`, the last place that was put back.
///
/// What is put back gets ids above all others, and whoever reads the outbox in parts would come upon later events of the stream first.
/// So these are moved behind what is parked, and put back with it. The stream is locked: nobody commits another event meanwhile.
async fn step(database: &Database, stream: &StreamId, last: Option<&Place>) -> Result<Step, Error> {
    let table = OutboxTable::new(database.pool.clone());
    let moved = async {
        let buckets = buckets(&table, stream).await?;
        if buckets.is_empty() {
            return Ok(Step::Nothing);
        }
        let mut list = table.keys.first();
        loop {
            let result = try_step(&table, stream, &buckets, last, list).await;
            match table.keys.after(list, &result) {
                Some(plainer) => list = plainer,
                None => break result.inspect(|_| database.wake.committed(buckets.into_iter())),
            }
        }
    };
    moved.await.map_err(Error::sql("putting parked events back"))
}

/// Where a stream's parked events were.
async fn buckets(table: &OutboxTable, stream: &StreamId) -> Result<Vec<u8>, sqlx::Error> {
    let of_stream = condition(table.pool.dialect(), stream);
    let sql = format!("SELECT DISTINCT bucket FROM tidings_outbox_parked WHERE {of_stream} ORDER BY bucket");
    let rows = table.pool.query(sql).await?;
    rows.iter().map(|row| Ok(u8::try_from(row.integer(0)?).unwrap_or_default())).collect()
}

async fn try_step(
    table: &OutboxTable,
    stream: &StreamId,
    buckets: &[u8],
    last: Option<&Place>,
    list: KeyList,
) -> Result<Step, sqlx::Error> {
    let dialect = table.pool.dialect();
    let of_stream = condition(dialect, stream);
    let name = dialect.text(stream.stream.as_str());
    let mut open = OpenTransaction::begin(&table.pool).await?;
    // The gate, too: rows get their ids here. The stream before the leases, which must not wait for somebody's long transaction.
    let mut lock = dialect.gate().map(|gate| format!("SELECT slot {gate};")).unwrap_or_default();
    // Writing to a `String` cannot fail.
    let _ = write!(lock, "UPDATE tidings_stream SET sequence = sequence WHERE stream = {name};{}", locked(buckets));
    open.query(lock).await?;

    let behind = behind(&mut open, table, &of_stream, buckets).await?;
    if !behind.is_empty() {
        open.query(gathering(list, dialect, &behind)).await?;
    }
    if behind.len() >= AT_ONCE {
        open.commit(Vec::new()).await.map_err(CommitFailure::into_source)?;
        return Ok(Step::Gathered);
    }

    let first = format!(
        "SELECT event_id, epoch, sequence FROM tidings_outbox_parked WHERE {of_stream} ORDER BY epoch, sequence LIMIT {AT_ONCE}"
    );
    let (mut ids, mut places) = (Vec::new(), Vec::new());
    for row in open.query(first).await? {
        ids.push(dialect.text(&row.text(0)?));
        places.push((row.integer(1)?, row.text(2)?));
    }
    let refused_again = places.first().zip(last).is_some_and(|(first, last)| first <= last);
    let Some(last) = places.pop().filter(|_| !refused_again) else {
        // What was gathered is parked now, as the relay would have parked it.
        open.commit(Vec::new()).await.map_err(CommitFailure::into_source)?;
        return Ok(Step::Nothing);
    };
    let mut events = String::new();
    push_list(&mut events, &ids);
    let statements = vec![
        format!(
            "INSERT INTO tidings_outbox ({SHARED_COLUMNS}) SELECT {SHARED_COLUMNS} FROM tidings_outbox_parked \
             WHERE event_id IN ({events}) ORDER BY epoch, sequence"
        ),
        format!("DELETE FROM tidings_outbox_parked WHERE event_id IN ({events})"),
    ];
    open.commit(statements).await.map_err(CommitFailure::into_source)?;
    Ok(Step::PutBack { events: u64::try_from(ids.len()).unwrap_or_default(), last })
}

/// Locks the leases of `buckets`: no relay parks anything of them meanwhile.
fn locked(buckets: &[u8]) -> String {
    let mut leases = String::new();
    push_list(&mut leases, buckets);
    format!("UPDATE tidings_outbox_lease SET owner = owner WHERE bucket IN ({leases})")
}

/// The rows of the outbox that wait behind parked ones of their stream: the first few.
async fn behind(
    open: &mut OpenTransaction,
    table: &OutboxTable,
    of_stream: &str,
    buckets: &[u8],
) -> Result<Vec<RowId>, sqlx::Error> {
    let index = table.pool.dialect().by_primary_key();
    let mut list = String::new();
    push_list(&mut list, buckets);
    let sql = format!(
        "SELECT bucket, id FROM tidings_outbox {index} WHERE bucket IN ({list}) AND {of_stream} AND {BEHIND_A_PARKED_EVENT} \
         ORDER BY bucket, id LIMIT {AT_ONCE}"
    );
    let rows = open.query(sql).await?;
    rows.iter().map(RowId::read).collect()
}

/// Moves rows of the outbox to the parked ones.
fn gathering(list: KeyList, dialect: Dialect, rows: &[RowId]) -> String {
    let (reason, now) = (dialect.text(WAITS), dialect.now());
    let (these, delete) = (is_one_of(rows), deletion(list, rows));
    format!(
        "REPLACE INTO tidings_outbox_parked (id, {SHARED_COLUMNS}, reason, parked_at) \
         SELECT id, {SHARED_COLUMNS}, {reason}, {now} FROM tidings_outbox WHERE ({these});{delete}"
    )
}
