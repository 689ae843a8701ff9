//! Consumers with annotated dispatchers, on real brokers.

mod batches;
mod failures;
mod headers;
mod offsets;
mod order;
mod rebalance;
pub(crate) mod shutdown;
mod startup;
mod undecodable;
