//! Putting parked events back, in order, or letting go of one.

use super::{ParkedEvent, SHARED_COLUMNS, condition, first_parked};
use crate::database::sql::push_list;
use crate::database::{Database, Error};
use crate::event::StreamId;
use crate::transport::Target;

/// The most events put back in one transaction.
const AT_ONCE: u32 = 500;

/// What became of a stream's parked events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Released {
    /// How many are back in the outbox.
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
    // What came meanwhile was parked behind these.
    while let Some(put_back) = put_back(database, stream, last.as_ref()).await? {
        events += put_back.events;
        last = Some(put_back.last);
    }
    Ok(Released { events, skipped: None, forgotten: 0 })
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
    let skip = database.pool.execute(format!("DELETE FROM tidings_outbox_parked WHERE {which}")).await;
    let forgotten = skip.map_err(Error::sql("skipping a parked event"))?;
    let released = retry_parked(database, stream).await?;
    Ok(Released { skipped: (forgotten > 0).then_some(first), forgotten, ..released })
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

struct PutBack {
    events: u64,
    last: Place,
}

/// Put back the first few, unless they are there again: at or below `last`, the last place that was put back.
async fn put_back(database: &Database, stream: &StreamId, last: Option<&Place>) -> Result<Option<PutBack>, Error> {
    let pool = &database.pool;
    let dialect = pool.dialect();
    let of_stream = condition(dialect, stream);
    let moved = async {
        let first = format!(
            "SELECT event_id, bucket, epoch, sequence FROM tidings_outbox_parked WHERE {of_stream} ORDER BY epoch, sequence LIMIT {AT_ONCE}"
        );
        let (mut ids, mut buckets, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for row in pool.query(first).await? {
            ids.push(dialect.text(&row.text(0)?));
            buckets.push(u8::try_from(row.integer(1)?).unwrap_or_default());
            places.push((row.integer(2)?, row.text(3)?));
        }
        let refused_again = places.first().zip(last).is_some_and(|(first, last)| first <= last);
        let Some(last) = places.pop().filter(|_| !refused_again) else { return Ok(None) };
        let (mut events, mut leases) = (String::new(), String::new());
        push_list(&mut events, &ids);
        buckets.sort_unstable();
        buckets.dedup();
        push_list(&mut leases, &buckets);
        // The gate, too: these rows get their ids now.
        let statements = dialect.gate().map(|gate| format!("SELECT slot {gate}")).into_iter().chain([
            format!("UPDATE tidings_outbox_lease SET owner = owner WHERE bucket IN ({leases})"),
            format!(
                "INSERT INTO tidings_outbox ({SHARED_COLUMNS}) SELECT {SHARED_COLUMNS} FROM tidings_outbox_parked \
                 WHERE event_id IN ({events}) ORDER BY epoch, sequence"
            ),
            format!("DELETE FROM tidings_outbox_parked WHERE event_id IN ({events})"),
        ]);
        pool.run_transaction(statements.collect()).await?;
        Ok(Some((PutBack { events: u64::try_from(ids.len()).unwrap_or_default(), last }, buckets)))
    };
    let moved = moved.await.map_err(Error::sql("putting parked events back"))?;
    Ok(moved.map(|(put_back, buckets)| {
        database.wake.committed(buckets.into_iter());
        put_back
    }))
}
