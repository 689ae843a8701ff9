//! Waiting for a condition, and only as long as it takes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a condition that holds is noticed at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look.
const GLANCE: Duration = Duration::from_millis(10);

/// Wait until `condition` is met; until then it says what it sees.
pub(crate) async fn until<T, S: Debug>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, S>) -> T {
    let start = Instant::now();
    loop {
        let seen = match condition().await {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for this: {what}; last seen: {seen:?}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// Wait until `condition` holds.
pub(crate) async fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, async || condition().then_some(()).ok_or(())).await;
}
