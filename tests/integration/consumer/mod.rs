//! Consumers with annotated dispatchers, on real brokers.

mod batches;
mod failures;
mod headers;
mod offsets;
pub(crate) mod once;
mod order;
#[cfg(feature = "cli")]
pub(crate) mod parking;
mod rebalance;
pub(crate) mod shutdown;
mod startup;
mod undecodable;
