//! The rows of a key: how they are read on the old shard and written on the new one.

use super::marker::moment;
use super::{KeyMove, KeyMoved};
use crate::database::open::OpenTransaction;
use crate::database::sql::{Dialect, push_list};

/// The inbox's tables and columns, as far as both shards have the same in them.
const OWNER: &str = "consumer_group, dispatcher, source, stream";

impl KeyMove<'_> {
    /// The statements that write the key's rows on the new shard.
    pub(super) async fn copied(
        &self,
        open: &mut OpenTransaction,
        moved: &mut KeyMoved,
    ) -> Result<Vec<String>, sqlx::Error> {
        let (from, to) = (self.from.pool.dialect(), self.to.pool.dialect());
        let mut statements = Vec::new();

        let key = from.text(&self.key);
        let select = format!("SELECT stream, mode, epoch, sequence FROM tidings_stream WHERE partition_key = {key}");
        for row in open.query(select).await? {
            let (stream, mode) = (to.text(&row.text(0)?), to.text(&row.text(1)?));
            let (epoch, sequence) = (row.integer(2)?, row.integer(3)?);
            let (key, shard) = (to.text(&self.key), to.text(&self.to.shard));
            // No place is given out twice, whatever the new shard says of an earlier time.
            let newer = format!(
                "tidings_stream.epoch < {epoch} OR tidings_stream.epoch = {epoch} AND tidings_stream.sequence < {sequence}"
            );
            statements.push(format!(
                "INSERT INTO tidings_stream (stream, shard, mode, partition_key, epoch, sequence) \
                 VALUES ({stream}, {shard}, {mode}, {key}, {epoch}, {sequence}) {} \
                 shard = {shard}, mode = {mode}, partition_key = {key}, \
                 sequence = CASE WHEN {newer} THEN {sequence} ELSE tidings_stream.sequence END, \
                 epoch = CASE WHEN tidings_stream.epoch < {epoch} THEN {epoch} ELSE tidings_stream.epoch END",
                to.on_duplicate(),
            ));
            moved.streams += 1;
        }

        let mine = self.of_the_key(from);
        let select = format!(
            "SELECT {OWNER}, epoch, sequence, event_id, {} FROM tidings_inbox WHERE {mine}",
            moment(from, "handled_at")
        );
        for row in open.query(select).await? {
            let (group, dispatcher) = (to.text(&row.text(0)?), to.text(&row.text(1)?));
            let (source, stream) = (to.text(&row.text(2)?), to.text(&row.text(3)?));
            let (epoch, sequence) = (row.integer(4)?, row.integer(5)?);
            let (event_id, handled_at) = (to.text(&row.text(6)?), to.text(&row.text(7)?));
            // An event that was passed over is remembered on every shard, so there may be a row that knows less, or more.
            let newer = format!("epoch < {epoch} OR epoch = {epoch} AND sequence < {sequence}");
            // MySQL assigns from left to right: the epoch, which the others are chosen by, comes last.
            statements.push(format!(
                "INSERT INTO tidings_inbox ({OWNER}, epoch, sequence, event_id, handled_at) \
                 VALUES ({group}, {dispatcher}, {source}, {stream}, {epoch}, {sequence}, {event_id}, {handled_at}) {} \
                 event_id = CASE WHEN {newer} THEN {event_id} ELSE tidings_inbox.event_id END, \
                 handled_at = CASE WHEN {newer} THEN {handled_at} ELSE tidings_inbox.handled_at END, \
                 sequence = CASE WHEN {newer} THEN {sequence} ELSE tidings_inbox.sequence END, \
                 epoch = CASE WHEN tidings_inbox.epoch < {epoch} THEN {epoch} ELSE tidings_inbox.epoch END",
                to.on_duplicate(),
            ));
            // Of an event that was passed over on both, and handled since on the old one, only the old one has forgotten that it was.
            statements.push(format!(
                "DELETE FROM tidings_inbox_hole WHERE consumer_group = {group} AND dispatcher = {dispatcher} \
                 AND source = {source} AND stream = {stream} \
                 AND (epoch < {epoch} OR epoch = {epoch} AND sequence <= {sequence})"
            ));
            moved.inbox += 1;
        }

        let select = format!(
            "SELECT {OWNER}, epoch, sequence, event_id, {} FROM tidings_inbox_hole WHERE {mine}",
            moment(from, "passed_at")
        );
        for row in open.query(select).await? {
            let (group, dispatcher) = (to.text(&row.text(0)?), to.text(&row.text(1)?));
            let (source, stream) = (to.text(&row.text(2)?), to.text(&row.text(3)?));
            let (epoch, sequence) = (row.integer(4)?, row.integer(5)?);
            let (event_id, passed_at) = (to.text(&row.text(6)?), to.text(&row.text(7)?));
            statements.push(format!(
                "INSERT INTO tidings_inbox_hole ({OWNER}, epoch, sequence, event_id, passed_at) \
                 SELECT {group}, {dispatcher}, {source}, {stream}, {epoch}, {sequence}, {event_id}, {passed_at} \
                 FROM (SELECT 1 AS one) AS single \
                 WHERE NOT EXISTS (SELECT 1 FROM tidings_inbox_hole WHERE consumer_group = {group} \
                 AND dispatcher = {dispatcher} AND source = {source} AND stream = {stream} AND epoch = {epoch} \
                 AND sequence = {sequence} AND event_id = {event_id})"
            ));
            moved.holes += 1;
        }

        Ok(statements)
    }

    /// What the old shard's own rows say from now on. What its inbox remembers stays, as good as it ever was, until it is purged:
    /// handlers may have its rows locked.
    pub(super) async fn pointed(&self, open: &mut OpenTransaction) -> Result<Vec<String>, sqlx::Error> {
        let dialect = self.from.pool.dialect();
        let (key, shard) = (dialect.text(&self.key), dialect.text(&self.to.shard));
        // Read before they are written: without an index on the key, writing would lock them all.
        let rows = open.query(format!("SELECT stream FROM tidings_stream WHERE partition_key = {key}")).await?;
        let streams = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let mut point = format!("UPDATE tidings_stream SET shard = {shard} WHERE stream IN (");
        push_list(&mut point, streams.iter().map(|stream| dialect.text(stream)));
        point.push(')');
        Ok(vec![point])
    }

    /// The rows of the inbox that belong to the key: those of streams whose id it is, those of its own streams, and those named.
    fn of_the_key(&self, dialect: Dialect) -> String {
        let key = dialect.text(&self.key);
        let id = match dialect {
            #[cfg(feature = "mysql")]
            Dialect::MySql => "SUBSTRING(stream, LOCATE('/', stream) + 1)",
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "substr(stream, instr(stream, '/') + 1)",
        };
        let mut condition =
            format!("({id} = {key} OR stream IN (SELECT stream FROM tidings_stream WHERE partition_key = {key})");
        if !self.streams.is_empty() {
            condition.push_str(" OR stream IN (");
            push_list(&mut condition, self.streams.iter().map(|stream| dialect.text(stream)));
            condition.push(')');
        }
        condition.push(')');
        condition
    }
}
