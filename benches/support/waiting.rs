//! Handlers that wait, as those do that talk to a database.

use std::sync::Arc;
use std::time::Duration;

use tidings::dispatcher;

use super::Probe;
use super::score::ScoreChanged;

/// What one handler does, on Kafka and without.
pub async fn wait(probe: Arc<Probe>, pause: Duration) {
    probe.start();
    if pause.is_zero() {
        // Not ready at once, and nothing to wait for.
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(pause).await;
    }
    probe.end();
}

/// A dispatcher whose handler waits for a time.
pub struct Waiting {
    pub probe: Arc<Probe>,
    pub pause: Duration,
}

#[dispatcher(source = "bench")]
impl Waiting {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, _event: ScoreChanged) {
        wait(Arc::clone(&self.probe), self.pause).await;
    }
}
