//! Origins beside each other: the outboxes of a service's shards.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::chain::merged;
use super::error::AuditError;
use super::origin::{Claim, Origin, Unpublished};

/// Each has streams of its own; a stream that is moved meanwhile is in one of them or in both.
pub(super) struct SideBySide<O>(pub(super) Vec<O>);

impl<O: Origin> Origin for SideBySide<O> {
    fn claims<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Claim>, AuditError>> {
        async move {
            let mut claims = Vec::new();
            for origin in &self.0 {
                claims = merged(claims, origin.claims(after, limit).await?, limit);
            }
            Ok(claims)
        }
        .boxed()
    }

    fn unpublished<'a>(
        &'a self,
        take: &'a mut (dyn FnMut(Unpublished) + Send),
    ) -> BoxFuture<'a, Result<(), AuditError>> {
        async move {
            // No event goes from one to another: a key is moved when nothing of it is left to be published.
            for origin in &self.0 {
                origin.unpublished(take).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
