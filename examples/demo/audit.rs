//! How a handler tells the ledger: an extractor of the demo's own.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tidings::clock::{Clock as _, SystemClock};
use tidings::prelude::*;

use crate::ledger::Ledger;

/// The players of a mode: ids no other run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerIds(pub Range<i64>);

impl PlayerIds {
    /// The player with this place in the range.
    pub fn id(&self, index: u64) -> i64 {
        self.0.start.saturating_add_unsigned(index)
    }
}

/// The ledgers of a run, by whose players they count.
#[derive(Debug, Default)]
pub struct Ledgers {
    ledgers: Vec<(PlayerIds, Arc<Ledger>)>,
    clock: SystemClock,
}

impl Ledgers {
    pub fn add(&mut self, players: PlayerIds, ledger: Arc<Ledger>) {
        self.ledgers.push((players, ledger));
    }

    fn of(&self, player: i64) -> Option<&Arc<Ledger>> {
        self.ledgers.iter().find(|(players, _)| players.0.contains(&player)).map(|(_, ledger)| ledger)
    }

    /// Whether an event with this key belongs to this run.
    pub fn knows(&self, key: Option<&str>) -> bool {
        key.and_then(|key| key.parse().ok()).is_some_and(|player| self.of(player).is_some())
    }
}

/// What the ledger is told about a delivery.
#[derive(Debug)]
pub struct Audit {
    ledgers: State<Ledgers>,
    ledger: Arc<Ledger>,
    player: i64,
    /// The position in the stream; `None` where the mode has none.
    sequence: Option<u64>,
    committed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the key {0:?} is no player of this run")]
struct UnknownKey(Option<String>);

impl FromDelivery for Audit {
    async fn from_delivery(delivery: &Delivery) -> Result<Self> {
        let ledgers = State::<Ledgers>::from_delivery(delivery).await?;
        let message = Message::from_delivery(delivery).await?;
        let unknown = || UnknownKey(message.key().map(str::to_owned));
        let player = message.key().and_then(|key| key.parse().ok()).ok_or_else(unknown).terminal()?;
        let ledger = ledgers.of(player).cloned().ok_or_else(unknown).terminal()?;
        // The event's time of record is taken right before its transaction is written and committed.
        let (sequence, committed_at) = (message.sequence(), message.recorded_at());
        Ok(Self { ledgers, ledger, player, sequence, committed_at })
    }
}

impl Audit {
    /// The event was handled. It is counted by its sequence; in the direct mode, which has none, by the number in the payload.
    pub fn handled(&self, revision: i64) {
        let now = self.ledgers.clock.now();
        let latency = self.committed_at.and_then(|time| (now - time).to_std().ok());
        self.ledger.handled(self.player, self.number(revision), latency.unwrap_or(Duration::ZERO));
    }

    /// The event will not be handled: it becomes a dead letter.
    pub fn given_up(&self, revision: i64) {
        self.ledger.given_up(self.player, self.number(revision));
    }

    fn number(&self, revision: i64) -> u64 {
        self.sequence.unwrap_or(revision.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn events_of_other_runs_are_not_known() {
        let mut ledgers = Ledgers::default();
        ledgers.add(PlayerIds(10..20), Arc::new(Ledger::new(Arc::new(Semaphore::new(0))).unwrap()));
        assert!(ledgers.knows(Some("10")) && ledgers.knows(Some("19")));
        for key in [None, Some("9"), Some("20"), Some("ten"), Some("")] {
            assert!(!ledgers.knows(key), "{key:?}");
        }
    }
}
