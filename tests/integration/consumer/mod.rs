//! Consumers with annotated dispatchers, on real brokers.

mod batches;
mod failures;
mod headers;
mod offsets;
pub(crate) mod once;
mod order;
mod rebalance;
pub(crate) mod shutdown;
mod startup;
mod tenants;
mod undecodable;
