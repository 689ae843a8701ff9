//! The outbox of a database as the origin of a topic's events.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};

use super::error::AuditError;
use super::origin::{Claim, Origin, Unpublished};
use crate::database::pool::Row;
use crate::database::{Database, Error};

/// The outbox of a database, as far as it is about one topic.
pub(super) struct Outbox {
    pub(super) database: Database,
    pub(super) topic: String,
    /// How the streams are delivered that end in the topic.
    pub(super) modes: &'static str,
}

/// Those that are relayed to Kafka.
pub(super) const TO_KAFKA: &str = "'outbox'";
/// Those, and those that go through the event store, where it is asked, too.
pub(super) const THROUGH_THE_STORE: &str = "'outbox', 'store'";

/// Streams that the database answers for. A key that lives on another shard, or is on its way to or from it, has left its rows
/// where it was, and they say how far its streams went there. The new shard's say it from the moment that it takes the key.
const LIVES_HERE: &str = "NOT EXISTS (SELECT 1 FROM tidings_moved_key \
     WHERE tidings_moved_key.partition_key = tidings_stream.partition_key)";

impl Origin for Outbox {
    fn claims<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Claim>, AuditError>> {
        async move {
            let pool = &self.database.pool;
            let behind = after.map_or_else(String::new, |name| format!(" AND stream > {}", pool.dialect().text(name)));
            let rows = pool.query(format!(
                "SELECT stream, epoch, sequence, 1 FROM tidings_stream WHERE mode IN ({}){behind} AND {LIVES_HERE} \
                 ORDER BY stream LIMIT {limit}",
                self.modes
            ));
            let claims = rows.await.and_then(|rows| rows.iter().map(read_claim).collect());
            claims.map_err(|error| failed("reading the streams", error))
        }
        .boxed()
    }

    fn unpublished<'a>(
        &'a self,
        take: &'a mut (dyn FnMut(Unpublished) + Send),
    ) -> BoxFuture<'a, Result<(), AuditError>> {
        async move {
            let pool = &self.database.pool;
            let topic = pool.dialect().text(&self.topic);
            // One statement, which sees both tables at one moment: a relay parks events, and an operator puts them back, and between
            // two statements they would be in neither.
            let mut rows = pool.stream(format!(
                "SELECT stream, epoch, sequence, 0 FROM tidings_outbox WHERE topic = {topic} \
                 UNION ALL SELECT stream, epoch, sequence, 1 FROM tidings_outbox_parked WHERE topic = {topic}"
            ));
            while let Some(row) = rows.try_next().await.map_err(|error| failed("reading the outbox", error))? {
                take(unpublished(&row).map_err(|error| failed("reading the outbox", error))?);
            }
            Ok(())
        }
        .boxed()
    }
}

/// A stream, of the columns stream, epoch and sequence, and 1 where the sequence begins with 1 in each epoch.
pub(super) fn read_claim(row: &Row) -> Result<Claim, sqlx::Error> {
    let (epoch, sequence) = (row.integer(1)?, row.integer(2)?);
    let epoch = u32::try_from(epoch).unwrap_or_default();
    let sequence = u64::try_from(sequence).unwrap_or_default();
    Ok(Claim { stream: row.text(0)?, epoch, sequence, from_one: row.integer(3)? == 1 })
}

fn unpublished(row: &Row) -> Result<Unpublished, sqlx::Error> {
    let epoch = u32::try_from(row.integer(1)?).unwrap_or_default();
    // Where it is no number nobody can say which event it is.
    let sequence = row.text(2)?.parse().unwrap_or_default();
    Ok(Unpublished { stream: row.text(0)?, epoch, sequence, is_parked: row.integer(3)? == 1 })
}

pub(super) fn failed(doing: &'static str, source: sqlx::Error) -> AuditError {
    AuditError::Database(Error::sql(doing)(source))
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use super::*;
    use crate::database::DatabaseOptions;
    use crate::database::shards::{KeyMove, MoveStep};

    async fn shard(name: &str, folder: &std::path::Path) -> Database {
        let url = format!("sqlite:{}", folder.join(name).display());
        Database::connect(DatabaseOptions::new(url).shard(name).migrate(true)).await.unwrap()
    }

    /// How far the shards say that the streams go.
    async fn claimed(shards: [&Database; 2]) -> [Vec<u64>; 2] {
        let mut claimed = [Vec::new(), Vec::new()];
        for (database, claimed) in shards.into_iter().zip(&mut claimed) {
            let outbox = Outbox { database: database.clone(), topic: "players".to_owned(), modes: TO_KAFKA };
            claimed.extend(outbox.claims(None, 10).await.unwrap().into_iter().map(|claim| claim.sequence));
        }
        claimed
    }

    #[tokio::test]
    async fn at_no_step_of_a_move_does_a_shard_answer_for_a_stream_that_goes_on_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (left, right) = (shard("left", folder.path()).await, shard("right", folder.path()).await);
        let stream = "INSERT INTO tidings_stream (stream, shard, mode, partition_key, sequence) \
                      VALUES ('Player/42', 'left', 'outbox', '42', 7), ('Player/7', 'left', 'outbox', '7', 3)";
        left.pool.execute(stream.to_owned()).await.unwrap();
        for (step, expected) in [
            (MoveStep::Announced, [vec![7, 3], vec![]]),
            (MoveStep::Closed, [vec![3], vec![]]),
            (MoveStep::Drained, [vec![3], vec![]]),
            (MoveStep::Carried, [vec![3], vec![7]]),
            (MoveStep::Settled, [vec![3], vec![7]]),
        ] {
            KeyMove::between(&left, &right, "42").until(step).run().await.unwrap();
            assert_eq!(claimed([&left, &right]).await, expected, "{step:?}");
        }
        right.pool.execute("UPDATE tidings_stream SET sequence = 9".to_owned()).await.unwrap();
        // And back: what the first shard still has of it is not what is true.
        for (step, expected) in [
            (MoveStep::Announced, [vec![3], vec![9]]),
            (MoveStep::Closed, [vec![3], vec![]]),
            (MoveStep::Settled, [vec![9, 3], vec![]]),
        ] {
            KeyMove::between(&right, &left, "42").until(step).run().await.unwrap();
            assert_eq!(claimed([&left, &right]).await, expected, "{step:?}, back");
        }
    }

    fn row(sequence: u32) -> String {
        format!(
            "(7, {sequence}, 'e{sequence}', 'accounts', 'Account/42', 0, '{sequence:020}', '42', '/accounts', 'accounts.Renamed', \
             '1.0.0', '', '', '', '', '', X'00'"
        )
    }

    const COLUMNS: &str = "bucket, id, event_id, topic, stream, epoch, sequence, partition_key, source, event_type, \
        schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, payload";

    #[tokio::test(flavor = "multi_thread")]
    async fn an_event_that_is_put_back_while_the_outbox_is_read_is_not_taken_for_lost() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("outbox.db").display());
        let database = Database::connect(DatabaseOptions::new(url).migrate(true)).await.unwrap();
        let insert = format!(
            "INSERT INTO tidings_outbox ({COLUMNS}) VALUES {});\
             INSERT INTO tidings_outbox_parked ({COLUMNS}, created_at, reason) VALUES {}, '', 'too large')",
            row(1),
            row(2)
        );
        database.pool.execute(insert).await.unwrap();
        let put_back = || {
            let put_back = vec![
                format!("INSERT INTO tidings_outbox ({COLUMNS}) SELECT {COLUMNS} FROM tidings_outbox_parked"),
                "DELETE FROM tidings_outbox_parked".to_owned(),
            ];
            let runtime = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| runtime.block_on(database.pool.run_transaction(put_back))).unwrap();
        };

        let outbox = Outbox { database: database.clone(), topic: "accounts".to_owned(), modes: TO_KAFKA };
        let mut found = Vec::new();
        let mut take = |event: Unpublished| {
            if found.is_empty() {
                put_back();
            }
            found.push((event.sequence, event.is_parked));
        };
        outbox.unpublished(&mut take).await.unwrap();
        assert_eq!(found, [(1, false), (2, true)]);
        found.clear();
        outbox.unpublished(&mut |event| found.push((event.sequence, event.is_parked))).await.unwrap();
        assert_eq!(found, [(1, false), (2, false)]);
    }
}
