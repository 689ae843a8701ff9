//! What benchmarks share.
#![allow(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "each benchmark uses its own part, and may stop at the first surprise"
)]

pub mod cluster;
mod figures;
mod probe;
mod processor_time;

#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod bare;
#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod by_hand;
#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod child;
#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod consuming;
pub mod counting;
#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod offering;
#[cfg(all(feature = "macros", feature = "consumer", feature = "mysql"))]
pub mod outbox;
#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod score;
#[cfg(all(feature = "macros", feature = "consumer"))]
pub mod waiting;

pub use cluster::Cluster;
pub use figures::{LatencyMeasurement, LatencyTarget, Measurement, Quantiles, median, number, spread};
pub use probe::Probe;
pub use processor_time::processor_time;
