//! The events these tests publish and handle.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidings::prelude::*;
use tidings::publisher::{Acks, Publisher};

use crate::support::ledger::{Ledger, Published};

/// A player scored. `serial` counts a player's scores from 1.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "scores.ScorePosted", version = "1.2.0", entity = "Player")]
#[event(schema_inline = r#"{
    "type": "record", "name": "ScorePosted", "namespace": "scores",
    "fields": [{"name": "player", "type": "long"}, {"name": "serial", "type": "long"}]
}"#)]
pub(crate) struct ScorePosted {
    #[event(key)]
    pub(crate) player: i64,
    pub(crate) serial: i64,
}

/// A player's scores were taken back.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "scores.ScoreErased", version = "1.0.0", entity = "Player")]
#[event(schema_inline = r#"{
    "type": "record", "name": "ScoreErased", "namespace": "scores",
    "fields": [{"name": "player", "type": "long"}, {"name": "reason", "type": ["null", "string"], "default": null}]
}"#)]
pub(crate) struct ScoreErased {
    #[event(key)]
    pub(crate) player: i64,
    pub(crate) reason: Option<String>,
}

impl ScorePosted {
    pub(crate) const fn new(player: i64, serial: i64) -> Self {
        Self { player, serial }
    }
}

/// Publish, for each player, the scores of the serials given, in turns.
pub(crate) async fn post(publisher: &Publisher, players: i64, serials: std::ops::RangeInclusive<i64>) {
    let mut pending = Vec::new();
    for serial in serials {
        for player in 0..players {
            pending.push(publisher.enqueue(&ScorePosted::new(player, serial), Acks::All).await.unwrap());
        }
    }
    futures_util::future::try_join_all(pending).await.unwrap();
}

/// What a ledger shows when each of `players` has posted `serials` scores.
pub(crate) fn posted(players: i64, serials: i64) -> Published {
    (0..players).map(|player| (player.to_string(), serials)).collect()
}

/// Writes down the scores in the order it gets them.
pub(crate) struct Scoreboard {
    pub(crate) ledger: Arc<Ledger>,
}

#[dispatcher(source = "scores")]
impl Scoreboard {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        // Handlers of other keys run meanwhile.
        tokio::task::yield_now().await;
        self.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}
