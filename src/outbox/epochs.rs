//! New epochs for streams whose database has lost something.
//!
//! A database that was restored, or failed over with loss, gives out sequences again that it gave out before. A higher epoch tells
//! the two apart: (epoch, sequence) is what everybody compares.

use crate::database::sql::Dialect;
use crate::database::{Database, Error};

/// The most streams raised in one statement: each holds up the writers of its streams.
const AT_ONCE: u32 = 5_000;

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
    fn condition(&self, dialect: Dialect) -> String {
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
/// It may run beside writers, and again where it was interrupted.
///
/// # Errors
/// [`Error::Sql`]. What was raised until then stays so.
pub async fn raise_epochs(database: &Database, streams: &Streams, epoch: Option<u32>) -> Result<u64, Error> {
    let pool = &database.pool;
    let dialect = pool.dialect();
    let condition = streams.condition(dialect);
    let epoch = epoch.map_or_else(|| dialect.unix_seconds().to_owned(), |epoch| epoch.to_string());
    let raise = async {
        let (mut raised, mut after) = (0, String::new());
        loop {
            let rest = format!("{condition} AND stream > {}", dialect.text(&after));
            let last = pool.query(format!(
                "SELECT stream FROM (SELECT stream FROM tidings_stream WHERE {rest} ORDER BY stream LIMIT {AT_ONCE}) few \
                 ORDER BY stream DESC LIMIT 1"
            ));
            let last = last.await?;
            let Some(last) = last.first().map(|row| row.text(0)).transpose()? else { return Ok(raised) };
            raised += pool
                .execute(format!(
                    "UPDATE tidings_stream SET epoch = CASE WHEN epoch >= {epoch} THEN epoch + 1 ELSE {epoch} END, sequence = 0 \
                     WHERE {rest} AND stream <= {}",
                    dialect.text(&last),
                ))
                .await?;
            after = last;
        }
    };
    raise.await.map_err(Error::sql("raising the epochs of streams"))
}
