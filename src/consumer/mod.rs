//! Consumers: typed, per-key-ordered handlers of other services' events.

mod attempt;
pub(crate) mod builder;
pub(crate) mod commit_metadata;
mod completions;
mod dead_letter;
pub(crate) mod driver;
pub(crate) mod engine;
mod error;
mod error_text;
mod key;
mod listing;
pub(crate) mod observer;
pub(crate) mod offsets;
mod options;
mod pace;
mod partition;
pub(crate) mod plan;
mod retry;
mod running;
mod startup;
pub(crate) mod stats;

pub use builder::{ConsumerBuilder, DispatchSettings};
pub use dead_letter::header as dead_letter_header;
pub use error::{BuildError, RunError, StopReason};
pub use listing::{ROUTES_VARIABLE, RouteListing};
pub use options::ConsumerOptions;
#[cfg(feature = "cli")]
pub(crate) use running::terminated;
pub use running::{Consumer, ConsumerHandle};
pub use stats::ConsumerStats;
