//! Consumers: typed, per-key-ordered handlers of other services' events.

mod attempt;
mod breaker;
mod builder;
mod commands;
mod commit_metadata;
mod completions;
mod dead_letter;
mod driver;
mod engine;
mod error;
mod error_text;
mod gate;
mod handle;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod inbox;
mod key;
mod listing;
mod offsets;
mod options;
mod pace;
pub mod parked;
mod partition;
mod passed_over;
mod plan;
mod rate;
mod recent_streams;
mod retry;
mod running;
mod sequences;
mod startup;
mod stats;
mod supervision;
mod tenants;

pub use crate::dead_letters::header as dead_letter_header;
pub use builder::{ConsumerBuilder, DispatchSettings};
pub use error::{BuildError, RunError, StopReason};
pub use handle::{ConsumerHandle, ControlError};
pub use listing::{ROUTES_VARIABLE, RouteListing};
pub use options::ConsumerOptions;
pub use running::Consumer;
#[cfg(feature = "cli")]
pub(crate) use running::terminated;
pub use stats::ConsumerStats;
pub use tenants::{TenantLimit, TenantLimits, TenantLimitsError, TenantStats};
