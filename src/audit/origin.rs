//! Where a topic's events come from: what is committed there, and what of it is still on its way.
#![cfg_attr(
    not(any(feature = "mysql", feature = "sqlite")),
    allow(dead_code, reason = "without a database there is nothing to compare with")
)]

use futures_util::future::BoxFuture;

use super::error::AuditError;

/// A stream as its origin knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) stream: String,
    pub(super) epoch: u32,
    /// The last sequence given out.
    pub(super) sequence: u64,
    /// Whether sequences begin with 1 in each epoch: an outbox's do, and those that a store gives out itself go on.
    pub(super) from_one: bool,
}

/// An event that is committed and not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unpublished {
    pub(super) stream: String,
    pub(super) epoch: u32,
    pub(super) sequence: u64,
    pub(super) is_parked: bool,
}

/// Where a topic's events come from: the outbox of a database, an event store, or the one through the other.
///
/// An event must leave the unpublished ones only after Kafka has acknowledged it: what is in neither place is lost.
pub(super) trait Origin: Send + Sync {
    /// At most `limit` streams in the order of their names, behind `after`.
    fn claims<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Claim>, AuditError>>;

    /// Hand every event that is committed and not published to `take`.
    fn unpublished<'a>(
        &'a self,
        take: &'a mut (dyn FnMut(Unpublished) + Send),
    ) -> BoxFuture<'a, Result<(), AuditError>>;
}
