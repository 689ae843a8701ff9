//! Chance that can be repeated.

use std::env;
use std::io::{self, Write as _};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Names the seed to repeat.
const SEED: &str = "TIDINGS_TEST_SEED";

/// Random numbers. The seed is told, so that what failed can be run again as it was.
pub(crate) fn chance() -> StdRng {
    let given =
        env::var(SEED).ok().map(|seed| seed.parse().unwrap_or_else(|_| panic!("{SEED} is not a number: {seed}")));
    let seed: u64 = given.unwrap_or_else(rand::random);
    tell(&format!("{SEED}={seed} repeats this"));
    StdRng::seed_from_u64(seed)
}

/// Tell whoever watches a long test; unlike what is printed it shows at once.
pub(crate) fn tell(line: &str) {
    // Nobody need watch.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
