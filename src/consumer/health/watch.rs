//! Watches a consumer from beside its threads: a thread that hangs tells nobody.

use std::time::Duration;

use super::publish::Published;
use crate::consumer::ConsumerHandle;

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches a consumer until it is dropped.
pub(crate) struct Watch {
    handle: ConsumerHandle,
    groups: Vec<Watched>,
}

#[derive(Default)]
struct Watched {
    published: Published,
    /// Whether it was live and ready when last looked at; `None` until it was ready once.
    was: Option<(bool, bool)>,
}

/// Publish the health of `handle`'s consumer as metrics, and tell the log when it changes. Never resolves.
pub(crate) async fn watch(handle: ConsumerHandle) {
    let mut watch = Watch { handle, groups: Vec::new() };
    loop {
        // One that is being stopped is not ill.
        let tell = !watch.handle.is_shutting_down();
        watch.look(tell);
        tokio::time::sleep(INTERVAL).await;
    }
}

impl Watch {
    fn look(&mut self, tell: bool) {
        let health = self.handle.health();
        let stats = self.handle.stats_by_group();
        self.groups.resize_with(health.groups.len(), Watched::default);
        for ((watched, group), (_, stats)) in self.groups.iter_mut().zip(&health.groups).zip(stats) {
            watched.published.publish(group, stats);
            if !tell {
                continue;
            }
            let is = (group.live, group.ready);
            match watched.was {
                // Starting takes its time.
                None if group.live && !group.ready => continue,
                Some(was) if was == is => continue,
                None if group.ready => {}
                _ if group.ready => tracing::info!(group = group.group, "the consumer is ready again"),
                _ => tracing::error!(
                    group = group.group,
                    live = group.live,
                    reasons = group.reasons.join("; "),
                    "the consumer is not healthy"
                ),
            }
            watched.was = Some(is);
        }
    }
}

impl Drop for Watch {
    /// What was done last counts too.
    fn drop(&mut self) {
        self.look(false);
    }
}
