//! The outbox as what a publisher records its events in.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Database;
use super::atomically::Attempts;
use super::commit::record;
use super::events::Events;
use crate::publisher::{ReadyEvent, Recorder, Target};

/// [`Publisher::publish`](crate::publisher::Publisher::publish) in the outbox mode: a transaction of its own for each event.
impl Recorder for Database {
    fn record(
        &self,
        event: ReadyEvent,
        target: Target,
    ) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        async move {
            let mut attempts = Attempts::new(self.options.max_attempts);
            while let Err(error) = record(self, Events::recorded(event.clone(), target)?).await {
                attempts.again(error).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
