//! The event of the consumer's benchmarks.

use serde::{Deserialize, Serialize};
use tidings::Event;

/// About 512 bytes with its key and headers left out.
#[derive(Event, Serialize, Deserialize, Clone, Debug)]
#[event(name = "bench.ScoreChanged", version = "1.0.0", schema = "benches/support/ScoreChanged.avsc")]
pub struct ScoreChanged {
    #[event(key)]
    pub player: i64,
    pub score: i64,
    pub board: String,
    pub note: String,
}

impl ScoreChanged {
    pub fn of(player: u64) -> Self {
        let player = i64::try_from(player).expect("a player's number");
        Self { player, score: 7, board: "weekly".into(), note: "x".repeat(490) }
    }
}

/// `count` events whose keys take turns.
pub fn in_turn(count: u64, keys: u64) -> impl Iterator<Item = ScoreChanged> {
    (0..count).map(move |index| ScoreChanged::of(index % keys))
}
