//! Metrics, spans and health: what they are called, and where they can be read.
//!
//! Metrics go through the [`metrics`] facade: install any of its recorders. Spans go through [`tracing`], under the target
//! `tidings::spans` at the level `DEBUG`: a subscriber that lets them through has them, and nothing is paid for them otherwise.

pub mod catalogue;
#[cfg(feature = "http")]
pub mod http;
pub mod names;
#[cfg(feature = "opentelemetry")]
pub(crate) mod opentelemetry;
#[cfg(all(test, any(feature = "consumer", feature = "sqlite")))]
#[allow(dead_code, reason = "each feature's tests use their own part")]
pub(crate) mod recorded;
#[cfg(any(feature = "consumer", feature = "publisher"))]
pub(crate) mod spans;
#[cfg(test)]
mod tests;

pub use catalogue::{METRICS, Metric, MetricKind, describe};
