//! Tokio's clock, which a test may have paused.

use std::time::{Duration, Instant};

/// Whether Tokio's clock stands still. It does not say; but it does not move then.
pub(super) fn tokio_is_paused() -> bool {
    let (before, started) = (tokio::time::Instant::now(), Instant::now());
    while started.elapsed() < Duration::from_micros(1) {
        std::hint::spin_loop();
    }
    tokio::time::Instant::now() == before
}

/// Let Tokio's clock go on.
pub(super) fn resume_tokio() {
    if tokio_is_paused() {
        tokio::time::resume();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_is_told_from_one_that_goes() {
        assert!(tokio_is_paused());
        resume_tokio();
        assert!(!tokio_is_paused());
        resume_tokio();
    }
}
