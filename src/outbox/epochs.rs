//! New epochs for streams whose database has lost something, or that change their mode.
//!
//! A database that was restored, or failed over with loss, gives out sequences again that it gave out before. A higher epoch tells
//! the two apart: (epoch, sequence) is what everybody compares. A stream that goes another way from now on begins anew in the same way:
//! what is there knows nothing of its history.

use crate::database::open::OpenTransaction;
use crate::database::pool::{Pool, Row};
use crate::database::sql::Dialect;
use crate::database::{Attempts, Database, Error, execute_again};
use crate::event::Stream;
use crate::publisher::DeliveryMode;

/// The most streams raised in one statement: each holds up the writers of its streams.
const AT_ONCE: u32 = 5_000;

const LOOKING: &str = "looking for events that are not published";

/// Which streams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Streams {
    /// All of the database.
    All,
    /// Those of these names.
    Named(Vec<String>),
    /// Those whose names begin so: `Account/`.
    Prefixed(String),
}

impl Streams {
    /// What is true of their rows.
    pub(crate) fn condition(&self, dialect: Dialect) -> String {
        match self {
            Self::All => "1 = 1".to_owned(),
            Self::Named(names) => {
                let names: Vec<_> = names.iter().map(|name| dialect.text(name)).collect();
                if names.is_empty() { "1 = 0".to_owned() } else { format!("stream IN ({})", names.join(",")) }
            }
            // No pattern: a name may hold what patterns are made of.
            Self::Prefixed(prefix) => {
                format!("SUBSTR(stream, 1, {}) = {}", prefix.chars().count(), dialect.text(prefix))
            }
        }
    }
}

/// How many of `streams` the database knows.
///
/// # Errors
/// [`Error::Sql`].
pub async fn count_streams(database: &Database, streams: &Streams) -> Result<u64, Error> {
    let condition = streams.condition(database.pool.dialect());
    let count = async {
        let rows = database.pool.query(format!("SELECT COUNT(*) FROM tidings_stream WHERE {condition}")).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.integer(0))?.unsigned_abs())
    };
    count.await.map_err(Error::sql("counting streams"))
}

/// Give `streams` a new epoch, and let their sequences begin at 1 again. The epoch is `epoch`, or the database's time in seconds
/// since 1970: a copy that is restored knows nothing of the epochs that were given since it was made, but time goes on. A stream
/// that has that epoch or a higher one gets the next. Returns how many streams there were.
///
/// With [`Streams::All`], streams that begin from now on begin in such an epoch, too: one that was begun after the copy was made is not in
/// it, and may be begun again. This waits for transactions that publish.
///
/// It may run beside writers, and again where it was interrupted.
///
/// # Errors
/// [`Error::Sql`], [`Error::Conflict`]. What was raised until then stays so.
pub async fn raise_epochs(database: &Database, streams: &Streams, epoch: Option<u32>) -> Result<u64, Error> {
    raise(database, streams, epoch, None).await
}

/// As [`raise_epochs`], and from now on the streams are published in `mode`: transactions of publishers in another one are refused.
/// Who must have an event in [`DeliveryMode::Direct`] does not matter here.
///
/// Events go one way only once all that went another is there. So a stream whose mode is another one changes only while none of
/// its events is in the outbox or parked; its row is locked while that is looked at, so no writer comes between. What has gone to an
/// event store is not looked at here: that it has been forwarded from there is to be seen before its streams leave the mode `store`.
///
/// # Errors
/// [`Error::StreamUnpublished`]: a stream has events that are not published; where it had them at the start, nothing was changed. As
/// for [`raise_epochs`].
pub async fn change_mode(
    database: &Database,
    streams: &Streams,
    mode: DeliveryMode,
    epoch: Option<u32>,
) -> Result<u64, Error> {
    check_mode_change(database, streams, mode).await?;
    raise(database, streams, epoch, Some(mode.recorded_name())).await
}

/// Whether [`change_mode`] would change these streams now.
///
/// # Errors
/// [`Error::StreamUnpublished`]: not yet; [`Error::Sql`].
pub async fn check_mode_change(database: &Database, streams: &Streams, mode: DeliveryMode) -> Result<(), Error> {
    let dialect = database.pool.dialect();
    let sql = unpublished(&streams.condition(dialect), &dialect.text(mode.recorded_name()));
    let rows = database.pool.query(sql).await.map_err(Error::sql(LOOKING))?;
    refusal(&rows).map_err(Error::sql(LOOKING))?.map_or(Ok(()), Err)
}

async fn raise(
    database: &Database,
    streams: &Streams,
    epoch: Option<u32>,
    mode: Option<&'static str>,
) -> Result<u64, Error> {
    let dialect = database.pool.dialect();
    let condition = streams.condition(dialect);
    let (mut raised, mut after) = (0, String::new());
    let mut attempts = Attempts::new(database.options.max_attempts);
    if *streams == Streams::All && mode.is_none() {
        let change = raised_epoch(dialect, "first_epoch", epoch);
        let sql = format!("UPDATE tidings_outbox_gate SET {change}");
        execute_again(database, sql, "raising the epoch of new streams").await?;
    }
    loop {
        let rest = format!("{condition} AND stream > {}", dialect.text(&after));
        match raise_some(&database.pool, &rest, epoch, mode).await {
            Ok(Some(some)) => {
                raised += some.streams;
                after = some.last;
                attempts = Attempts::new(database.options.max_attempts);
            }
            Ok(None) => return Ok(raised),
            Err(error) => attempts.again(error).await?,
        }
    }
}

/// Streams that were raised in one transaction.
struct Raised {
    streams: u64,
    last: String,
}

/// Raise the first of the streams of which `rest` is true.
async fn raise_some(
    pool: &Pool,
    rest: &str,
    epoch: Option<u32>,
    mode: Option<&'static str>,
) -> Result<Option<Raised>, Error> {
    let failed = || Error::sql("raising the epochs of streams");
    let dialect = pool.dialect();
    let mut open = OpenTransaction::begin(pool).await.map_err(failed())?;
    let lock = format!(
        "SELECT stream FROM tidings_stream {} WHERE {rest} ORDER BY stream LIMIT {AT_ONCE} {}",
        dialect.by_primary_key(),
        dialect.for_update()
    );
    let locked = open.query(lock).await.map_err(failed())?;
    let names = locked.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>().map_err(failed())?;
    let Some(last) = names.last().cloned() else { return Ok(None) };
    // Those that are locked, and none that was begun since.
    let these = Streams::Named(names).condition(dialect);
    let mut change = raised_epoch(dialect, "epoch", epoch) + ", sequence = 0";
    if let Some(mode) = mode {
        let mode = dialect.text(mode);
        // Behind the locks: what writers had begun is there by now, and what they begin waits.
        let rows = open.query(unpublished(&these, &mode)).await.map_err(Error::sql(LOOKING))?;
        if let Some(refusal) = refusal(&rows).map_err(Error::sql(LOOKING))? {
            return Err(refusal);
        }
        change.push_str(", mode = ");
        change.push_str(&mode);
    }
    let update = format!("UPDATE tidings_stream SET {change} WHERE {these}");
    open.commit(vec![update]).await.map_err(|failure| failed()(failure.into_source()))?;
    Ok(Some(Raised { streams: locked.len() as u64, last }))
}

/// How the epoch in `column` becomes the next.
pub(crate) fn raised_epoch(dialect: Dialect, column: &str, epoch: Option<u32>) -> String {
    let epoch = epoch.map_or_else(|| dialect.unix_seconds().to_owned(), |epoch| epoch.to_string());
    format!("{column} = CASE WHEN {column} >= {epoch} THEN {column} + 1 ELSE {epoch} END")
}

/// The streams of which `these` is true, and whose mode is not `mode`, that have events which are not published: how many, and
/// where. One statement, which sees both tables at one moment: a relay parks events, and an operator puts them back.
fn unpublished(these: &str, mode: &str) -> String {
    let others = format!("stream IN (SELECT stream FROM tidings_stream WHERE {these} AND mode <> {mode})");
    format!(
        "SELECT unsent.stream, COUNT(waiting), COUNT(parked), mode FROM (\
         SELECT stream, 1 AS waiting, NULL AS parked FROM tidings_outbox WHERE {others} UNION ALL \
         SELECT stream, NULL, 1 FROM tidings_outbox_parked WHERE {others}) unsent \
         JOIN tidings_stream s ON s.stream = unsent.stream GROUP BY unsent.stream, mode ORDER BY unsent.stream"
    )
}

/// Why no stream changes its mode, where there are some that [`unpublished`] finds.
fn refusal(rows: &[Row]) -> Result<Option<Error>, sqlx::Error> {
    let Some(first) = rows.first() else { return Ok(None) };
    Ok(Some(Error::StreamUnpublished {
        stream: Stream::from_name(&first.text(0)?),
        recorded: first.text(3)?,
        waiting: first.integer(1)?.unsigned_abs(),
        parked: first.integer(2)?.unsigned_abs(),
        streams: rows.len() as u64,
    }))
}
