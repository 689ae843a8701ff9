//! Consumers with annotated dispatchers, on real brokers.

mod batches;
mod control;
mod failures;
mod headers;
#[cfg(feature = "http")]
mod health;
mod noise;
mod offsets;
pub(crate) mod once;
mod once_batches;
mod order;
#[cfg(feature = "cli")]
pub(crate) mod parking;
pub(crate) mod protocols;
mod rebalance;
mod restored;
pub(crate) mod shutdown;
mod startup;
mod static_members;
mod tenants;
mod transactions;
mod undecodable;
