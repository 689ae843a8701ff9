//! Consumers: typed, per-key-ordered handlers of other services' events.

mod attempt;
mod builder;
mod commit_metadata;
mod completions;
mod dead_letter;
mod driver;
mod engine;
mod error;
mod error_text;
pub mod health;
mod key;
mod listing;
mod offsets;
mod options;
mod pace;
mod partition;
mod plan;
mod retry;
mod running;
mod startup;
mod stats;

pub use builder::{ConsumerBuilder, DispatchSettings};
pub use dead_letter::header as dead_letter_header;
pub use error::{BuildError, RunError, StopReason};
pub use health::{ConsumerHealth, HealthOptions};
pub use listing::{ROUTES_VARIABLE, RouteListing};
pub use options::ConsumerOptions;
#[cfg(feature = "cli")]
pub(crate) use running::terminated;
pub use running::{Consumer, ConsumerHandle};
pub use stats::ConsumerStats;
#[cfg(test)]
#[cfg(feature = "http")]
pub(crate) use stats::Counters;
