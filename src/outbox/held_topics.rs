//! What relays say of topics that take nothing, for those who ask.

use std::time::Duration;

use serde::Serialize;

use super::health::seconds;
use super::held::{Destination, Hold};
use super::table::OutboxTable;
use crate::database::{Database, Error};

/// A topic that takes no events, as a relay that lives says. Its events wait in the outbox, in order, and it is tried again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeldTopic {
    /// The topic.
    pub topic: String,
    /// Where its events are taken: `kafka`, or the `store`.
    pub target: String,
    /// Why it takes nothing.
    pub reason: String,
    /// For how long.
    #[serde(rename = "held_seconds", serialize_with = "seconds")]
    pub held_for: Duration,
    /// When it is tried again.
    #[serde(rename = "retry_seconds", serialize_with = "seconds")]
    pub retry_in: Duration,
}

impl OutboxTable {
    /// Say which destinations `owner` holds back, in place of what it said before. What dead relays said goes, too.
    pub(super) async fn note_held(&self, owner: &str, held: &[(Destination, Hold)]) -> Result<(), sqlx::Error> {
        let dialect = self.pool.dialect();
        let me = dialect.text(owner);
        let mut statements = vec![format!(
            "DELETE FROM tidings_outbox_held WHERE owner = {me} OR owner NOT IN (SELECT owner FROM tidings_outbox_relay)"
        )];
        for (Destination { target, topic }, hold) in held {
            let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or_default();
            let held_at = dialect.now_plus(-milliseconds(hold.since.elapsed()));
            let retry_at =
                dialect.now_plus(milliseconds(hold.try_at.saturating_duration_since(tokio::time::Instant::now())));
            let (target, topic, reason) = (target.as_str(), dialect.text(topic), dialect.text(&hold.reason));
            statements.push(format!(
                "INSERT INTO tidings_outbox_held (owner, target, topic, reason, held_at, retry_at) \
                 VALUES ({me}, '{target}', {topic}, {reason}, {held_at}, {retry_at})"
            ));
        }
        self.pool.run_transaction(statements).await
    }
}

/// The topics of the outbox of `database` that take no events, by name.
///
/// # Errors
/// [`Error::Sql`].
pub async fn held_topics(database: &Database) -> Result<Vec<HeldTopic>, Error> {
    read(database).await.map_err(Error::sql("reading the topics that are held back"))
}

pub(super) async fn read(database: &Database) -> Result<Vec<HeldTopic>, sqlx::Error> {
    let dialect = database.pool.dialect();
    let (now, held, retry) =
        (dialect.now(), dialect.microseconds_since("h.held_at"), dialect.microseconds_since("h.retry_at"));
    let sql = format!(
        "SELECT h.topic, h.target, h.reason, {held}, {retry} FROM tidings_outbox_held h \
         JOIN tidings_outbox_relay r ON r.owner = h.owner WHERE r.expires_at > {now} ORDER BY h.topic, h.target, h.held_at"
    );
    let mut topics: Vec<HeldTopic> = Vec::new();
    for row in database.pool.query(sql).await? {
        let microseconds = |number: i64| Duration::from_micros(u64::try_from(number).unwrap_or_default());
        let next = HeldTopic {
            topic: row.text(0)?,
            target: row.text(1)?,
            reason: row.text(2)?,
            held_for: microseconds(row.integer(3)?),
            retry_in: microseconds(-row.integer(4)?),
        };
        // Several relays may hold it back; the first of them has for longest.
        if topics.last().is_none_or(|last| (&last.topic, &last.target) != (&next.topic, &next.target)) {
            topics.push(next);
        }
    }
    Ok(topics)
}
