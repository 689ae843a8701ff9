//! Consumers: typed, per-key-ordered handlers of other services' events.

mod attempt;
mod completions;
mod dead_letter;
mod driver;
mod engine;
mod error;
mod key;
mod offsets;
mod options;
mod partition;
mod plan;
mod retry;
mod stats;

pub use dead_letter::header as dead_letter_header;
pub use error::{BuildError, RunError, StopReason};
pub use options::ConsumerOptions;
pub use stats::ConsumerStats;
