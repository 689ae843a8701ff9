//! The event of the consumer's benchmarks.

use std::sync::LazyLock;

use rand::SeedableRng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use rand::rngs::StdRng;
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

const NOTE_BYTES: usize = 490;

/// What notes are cut from: text that compresses hardly, the same in every run. Fetches are bounded by their compressed size, so
/// events that compress to nothing would measure something that no service has.
static TEXT: LazyLock<String> = LazyLock::new(|| Alphanumeric.sample_string(&mut StdRng::seed_from_u64(1), 1 << 20));

impl ScoreChanged {
    pub fn of(player: u64) -> Self {
        let player = i64::try_from(player).expect("a player's number");
        let start = usize::try_from(player * 7_919).expect("a place") % (TEXT.len() - NOTE_BYTES);
        Self { player, score: 7, board: "weekly".into(), note: TEXT[start..start + NOTE_BYTES].to_owned() }
    }
}

/// `count` events whose keys take turns.
pub fn in_turn(count: u64, keys: u64) -> impl Iterator<Item = ScoreChanged> {
    (0..count).map(move |index| ScoreChanged::of(index % keys))
}
