//! Waiting for a condition, and only as long as it takes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long nothing may change in what is seen. Long enough for a loaded machine; a condition that holds is noticed at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it may take while what is seen goes on changing.
const LONGEST: Duration = Duration::from_mins(15);

/// How often to look.
const GLANCE: Duration = Duration::from_millis(10);

/// Wait until `condition` is met; until then it says what it sees. As long as that changes, however slowly, it is waited for.
pub(crate) async fn until<T, S: Debug>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, S>) -> T {
    let start = Instant::now();
    let (mut last, mut changed) = (String::new(), start);
    loop {
        let seen = match condition().await {
            Ok(value) => return value,
            Err(seen) => format!("{seen:?}"),
        };
        if seen != last {
            (last, changed) = (seen, Instant::now());
        }
        let waited = start.elapsed();
        assert!(
            changed.elapsed() < PATIENCE && waited < LONGEST,
            "waited {waited:.0?} in vain for this: {what}; last seen: {last}"
        );
        tokio::time::sleep(GLANCE).await;
    }
}

/// Wait until `condition` holds.
pub(crate) async fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, async || condition().then_some(()).ok_or(())).await;
}
