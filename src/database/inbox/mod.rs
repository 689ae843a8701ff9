//! The inbox: what a consumer group has handled, remembered in its handlers' own transactions, so that effects happen once.
//!
//! A handler that takes a [`Transaction`](super::Transaction) changes the database, publishes, and has its event remembered as
//! handled, in **one** transaction. It commits when the handler says that it is done, and rolls back otherwise. An event that
//! is delivered again is known, and its handler does not run.
//!
//! Each dispatcher of a group remembers, of each stream, the epoch, the sequence and the id of the latest event:
//!
//! | an event | is |
//! |---|---|
//! | above the latest | handled. Filters make gaps normal, so it need not be the next |
//! | at or below the latest | a repeat: its handler does not run, and it counts as done |
//! | in the place of the latest, with another id | a fork: never dropped. An error is logged and its key is parked, or the consumer stops where the handler's policy says so |
//! | of a lower epoch | a repeat |
//! | of a higher epoch | handled; the stream begins anew |
//! | known as passed over (a dead letter, or skipped by an operator) | handled once, however far its stream is |
//! | without a sequence | handled unless its id is remembered, which it is for [`InboxOptions::remember_events`] |
//!
//! Of two processes that handle one stream at once, as when one has lost its partition and does not know it yet, the second is
//! turned away and tries again: the stream's row is locked from before the handler begins until its transaction ends.
//!
//! ```no_run
//! # use serde::{Deserialize, Serialize};
//! use tidings::consumer::{Consumer, ConsumerOptions};
//! use tidings::database::{Database, DatabaseOptions, sqlx};
//! use tidings::prelude::*;
//! # #[derive(Event, Serialize, Deserialize, Debug, Clone)]
//! # #[event(name = "scores.ScorePosted", version = "1.0.0", entity = "Player")]
//! # #[event(schema_inline = r#"{"type": "record", "name": "ScorePosted", "namespace": "scores",
//! #   "fields": [{"name": "player", "type": "long"}, {"name": "points", "type": "long"}]}"#)]
//! # struct ScorePosted { #[event(key)] player: i64, points: i64 }
//!
//! struct Totals;
//!
//! # #[cfg(feature = "mysql")]
//! #[dispatcher(source = "scores")]
//! impl Totals {
//!     #[on("scores.ScorePosted")]
//!     async fn on_score(&self, event: ScorePosted, tx: Transaction) -> Result<()> {
//!         let mut connection = tx.mysql().await?;
//!         let add = sqlx::query("UPDATE total SET points = points + ? WHERE player = ?");
//!         add.bind(event.points).bind(event.player).execute(&mut *connection).await?;
//!         Ok(())
//!     }
//! }
//!
//! # #[cfg(feature = "mysql")]
//! # async fn run() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let database = Database::connect(DatabaseOptions::new("mysql://totals@db.example/totals")).await?;
//! let consumer = Consumer::builder(ConsumerOptions::new("totals")).database(database).dispatch(Totals);
//! consumer.build().await?.run().await?;
//! # Ok(())
//! # }
//! ```

mod admission;
mod counters;
mod extract;
mod extract_batch;
mod failure;
mod identity;
#[cfg(feature = "consumer")]
mod options;
mod passed_over;
mod purge;
mod rules;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Database, Shards};
pub(crate) use counters::InboxCounters;
pub(crate) use extract::ShardKey;
#[cfg(feature = "consumer")]
pub use options::InboxOptions;
pub use purge::{Purge, Purged};

/// The inbox of a consumer group. A cheap handle. A consumer that was given a database makes one for each of its groups; make
/// one by hand to run handlers without a consumer, or to pass events over.
#[derive(Clone)]
pub struct Inbox {
    shards: Shards,
    group: Arc<str>,
    /// Whose handlers use it; everybody's where it is not said.
    dispatchers: Option<Arc<[&'static str]>>,
    /// When a transaction that nothing is heard from counts as abandoned.
    abandoned_after: Duration,
    counters: Arc<InboxCounters>,
}

/// How much longer than its handler may take a transaction may be silent.
const GRACE: Duration = Duration::from_secs(60);

impl Inbox {
    /// The inbox of `group` in `database`.
    pub fn new(database: &Database, group: &str) -> Self {
        Self::on_shards(&Shards::one(database.clone()), group)
    }

    /// The inbox of `group` on `shards`: each event is remembered on the shard of its key, or of the field that `#[on(.., shard = field)]`
    /// names.
    pub fn on_shards(shards: &Shards, group: &str) -> Self {
        Self {
            shards: shards.clone(),
            group: group.into(),
            dispatchers: None,
            abandoned_after: GRACE + Duration::from_secs(60),
            counters: Arc::default(),
        }
    }

    /// Let the server end a handler's transaction once nothing was heard from it for `time`, in whole seconds: that of a machine that
    /// died would else lock its streams until the network notices. MySQL and MariaDB only. Default: 2 minutes; a consumer's is
    /// the longest timeout of its handlers and a minute more.
    pub fn abandoned_after(mut self, time: Duration) -> Self {
        self.abandoned_after = time;
        self
    }

    /// The inbox of `group`, which only `dispatchers` use.
    #[cfg(feature = "consumer")]
    pub(crate) fn of_group(
        shards: &Shards,
        group: &Arc<str>,
        dispatchers: Vec<&'static str>,
        longest_handler: Duration,
        counters: &Arc<InboxCounters>,
    ) -> Self {
        let (shards, group, counters) = (shards.clone(), Arc::clone(group), Arc::clone(counters));
        let abandoned_after = longest_handler.saturating_add(GRACE);
        Self { shards, group, dispatchers: Some(dispatchers.into()), abandoned_after, counters }
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Whether what `dispatcher` passes over is remembered here.
    fn serves(&self, dispatcher: &str) -> bool {
        self.dispatchers.as_ref().is_none_or(|dispatchers| dispatchers.contains(&dispatcher))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Inbox")
            .field("group", &self.group)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
