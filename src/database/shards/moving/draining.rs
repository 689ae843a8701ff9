//! Waiting for the events of a key to leave the outbox of the shard that it leaves.

use std::time::Duration;

use tokio::time::Instant;

use super::KeyMove;
use super::marker::{Marker, change};
use crate::database::Error;
use crate::database::pool::Row;
use crate::outbox::bucket_of;

/// How often it is looked whether the outbox is empty.
const LOOK: Duration = Duration::from_millis(50);

/// Where events are that Kafka does not have.
const TABLES: [&str; 2] = ["tidings_outbox", "tidings_outbox_parked"];

impl KeyMove<'_> {
    /// Wait until nothing of the key is in the outbox; open it again where that takes too long, unless it has gone on meanwhile.
    pub(super) async fn drain(&self) -> Result<bool, Error> {
        let until = Instant::now() + self.wait;
        loop {
            let rows = self.from.pool.query(self.unpublished()).await;
            let (waiting, parked) =
                rows.and_then(|rows| counts(&rows)).map_err(Error::sql("looking for a key's events in the outbox"))?;
            if (waiting, parked) == (0, 0) {
                return Ok(true);
            }
            if parked > 0 || Instant::now() >= until {
                if self.open_again().await? {
                    return Err(Error::Unpublished { key: self.key.clone(), waiting, parked });
                }
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Open the key where it was, if it still waits for its events: once they are gone, and as long as it is closed none comes, another
    /// mover may have had the new shard take it.
    async fn open_again(&self) -> Result<bool, Error> {
        let dialect = self.from.pool.dialect();
        let leaving = Marker::is(dialect, &self.key, &[Marker::LEAVING], &self.to.shard);
        let condition = format!("{leaving} AND ({}) > 0", self.unpublished_in_each().join(" + "));
        change(&self.from, &self.key, &condition, Marker::delete(dialect, &self.key)).await
    }

    /// How many of the key's events wait in the outbox, and how many are parked. One statement, which sees both tables at one moment:
    /// a relay parks events, and an operator puts them back, and between two statements they would be in neither.
    pub(super) fn unpublished(&self) -> String {
        format!("SELECT {}", self.unpublished_in_each().join(", "))
    }

    fn unpublished_in_each(&self) -> [String; 2] {
        let (bucket, key) = (bucket_of(&self.key), self.from.pool.dialect().text(&self.key));
        let count = |table| format!("(SELECT COUNT(*) FROM {table} WHERE bucket = {bucket} AND partition_key = {key})");
        TABLES.map(count)
    }
}

/// The two numbers of [`KeyMove::unpublished`].
pub(super) fn counts(rows: &[Row]) -> Result<(i64, i64), sqlx::Error> {
    let Some(row) = rows.first() else { return Ok((0, 0)) };
    Ok((row.integer(0)?, row.integer(1)?))
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use super::*;
    use crate::database::shards::MoveStep;
    use crate::database::{Database, DatabaseOptions};

    async fn shard(folder: &tempfile::TempDir, name: &str) -> Database {
        let url = format!("sqlite:{}", folder.path().join(name).display());
        Database::connect(DatabaseOptions::new(url).shard(name).migrate(true)).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_that_another_mover_has_carried_meanwhile_is_not_opened_again_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (shard(&folder, "a").await, shard(&folder, "b").await);
        let waiting = KeyMove::between(&from, &to, "7");
        KeyMove::between(&from, &to, "7").until(MoveStep::Carried).run().await.unwrap();
        // What it saw in the outbox has left it since.
        assert!(!waiting.open_again().await.unwrap());
        assert!(Marker::read(&from, "7").await.unwrap().is_some_and(|marker| marker.is_leaving()));
        assert_eq!(Marker::read(&to, "7").await.unwrap(), None);
    }
}
