//! The inbox of a consumer's groups, and its upkeep while they run.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::error::BuildError;
use super::passed_over::PassedOver;
use super::plan::GroupPlan;
use super::stats::Counters;
use crate::database::inbox::{InboxOptions, Purge};
use crate::database::{Database, Inbox, Shards};
use crate::dispatch::Extensions;

/// What a consumer's builder was told of the database.
#[derive(Default)]
pub(super) struct InboxBuilder {
    pub(super) shards: Option<Shards>,
    pub(super) options: InboxOptions,
}

/// The inbox of all groups of a consumer.
pub(crate) struct ConsumerInbox {
    shards: Shards,
    options: InboxOptions,
}

impl InboxBuilder {
    /// Check that handlers have the transactions they ask for. `None` where no handler asks for one.
    pub(super) async fn check(self, plans: &[GroupPlan]) -> Result<Option<ConsumerInbox>, BuildError> {
        let Some(route) = plans.iter().find_map(|plan| plan.transactional().next()) else { return Ok(None) };
        let Some(shards) = self.shards else { return Err(BuildError::NoDatabase { handler: route.handler }) };
        shards.check_migrated().await.map_err(BuildError::Database)?;
        Ok(Some(ConsumerInbox { shards, options: self.options }))
    }
}

/// Deletes what need not be remembered any more, until it is dropped.
pub(super) struct Upkeep(AbortHandle);

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ConsumerInbox {
    /// The extensions of a group, with its inbox among them where one of its handlers asks for a transaction; and the inbox as
    /// what remembers the events that are passed over.
    pub(crate) fn join(
        &self,
        plan: &GroupPlan,
        counters: &Counters,
        extensions: &Extensions,
    ) -> (Extensions, Option<Arc<dyn PassedOver>>) {
        let mut dispatchers: Vec<_> = plan.transactional().map(|route| route.dispatcher).collect();
        if dispatchers.is_empty() {
            return (extensions.clone(), None);
        }
        dispatchers.sort_unstable();
        dispatchers.dedup();
        let longest = plan.transactional().map(|route| route.policy.timeout).max().unwrap_or_default();
        let inbox = Arc::new(Inbox::of_group(&self.shards, &plan.group, dispatchers, longest, &counters.inbox));
        let mut extensions = extensions.clone();
        extensions.insert(Arc::clone(&inbox));
        (extensions, Some(inbox))
    }

    /// Begin to delete, now and then, ids that `groups` need not remember any more.
    pub(super) fn keep_up(&self, groups: Vec<Arc<str>>, runtime: &Handle) -> Upkeep {
        let (shards, options) = (self.shards.clone(), self.options);
        let upkeep = runtime.spawn(async move {
            loop {
                // Processes that start together need not purge together.
                let pause = options.purge_interval.mul_f64(rand::rng().random_range(0.5..=1.0));
                tokio::time::sleep(pause).await;
                for group in &groups {
                    for database in shards.iter() {
                        purge(database, group, options.remember_events).await;
                    }
                }
            }
        });
        Upkeep(upkeep.abort_handle())
    }
}

async fn purge(database: &Database, group: &str, age: Duration) {
    match database.purge_inbox(&Purge::default().group(group).events(age)).await {
        Ok(purged) if purged.events > 0 => {
            tracing::debug!(group, events = purged.events, "old ids were deleted from the inbox");
        }
        Ok(_) => {}
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(group, error, "old ids could not be deleted from the inbox; it is tried again later");
        }
    }
}
