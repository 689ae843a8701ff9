//! Consumers with annotated dispatchers, on real brokers.

mod batches;
mod failures;
mod headers;
mod noise;
#[cfg(feature = "http")]
mod health;
mod offsets;
pub(crate) mod once;
mod order;
pub(crate) mod protocols;
#[cfg(feature = "cli")]
pub(crate) mod parking;
mod rebalance;
mod restored;
pub(crate) mod shutdown;
mod startup;
mod static_members;
mod transactions;
mod undecodable;
