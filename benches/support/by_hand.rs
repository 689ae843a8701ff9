//! What a careful user writes by hand without Kafka: the same handlers in each key's order, so many at once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::score::ScoreChanged;

/// Handle `events`, each key's in order, at most `bound` at once: a task a key, and as many permits as the bound.
pub async fn handle_all<F, H>(events: Vec<ScoreChanged>, bound: usize, handler: F)
where
    F: Fn(ScoreChanged) -> H + Clone + Send + Sync + 'static,
    H: Future<Output = ()> + Send,
{
    let mut queues: HashMap<i64, Vec<ScoreChanged>> = HashMap::new();
    let mut order = Vec::new();
    for event in events {
        let queue = queues.entry(event.player).or_insert_with_key(|key| {
            order.push(*key);
            Vec::new()
        });
        queue.push(event);
    }
    let permits = Arc::new(Semaphore::new(bound));
    let mut keys = JoinSet::new();
    for key in order {
        let queue = queues.remove(&key).unwrap_or_default();
        let (permits, handler) = (Arc::clone(&permits), handler.clone());
        keys.spawn(async move {
            for event in queue {
                let _permit = permits.acquire().await.expect("permits are never closed");
                handler(event).await;
            }
        });
    }
    while let Some(ended) = keys.join_next().await {
        ended.expect("a key's task ends");
    }
}
