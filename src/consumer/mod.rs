//! Consumers: typed, per-key-ordered handlers of other services' events.

mod attempt;
mod breaker;
pub(crate) mod builder;
mod chain;
mod commands;
pub(crate) mod commit_metadata;
mod completions;
mod dead_letter;
mod dispatch_settings;
pub(crate) mod driver;
pub(crate) mod engine;
mod error;
mod error_text;
mod gate;
pub(crate) mod handle;
pub mod health;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(crate) mod inbox;
mod key;
mod listing;
pub(crate) mod observer;
pub(crate) mod offsets;
mod options;
mod pace;
pub mod parked;
mod partition;
mod passed_over;
mod pauses;
mod places;
pub(crate) mod plan;
mod rate;
mod recent_streams;
mod retry;
mod running;
pub(crate) mod sequences;
mod startup;
mod stats;
mod supervision;
pub(crate) mod tenants;
mod text_file;

/// What places are made of. `tests/models` includes them once more, with loom's.
mod sync {
    pub(super) use std::sync::atomic::{AtomicUsize, Ordering};

    pub(super) use tokio::sync::{OwnedSemaphorePermit, Semaphore};
}

pub use crate::dead_letters::header as dead_letter_header;
pub use builder::ConsumerBuilder;
pub use dispatch_settings::DispatchSettings;
pub use error::{BuildError, RunError, StopReason};
pub use handle::{ConsumerHandle, ControlError};
pub use health::{ConsumerHealth, HealthOptions};
pub use listing::{BatchListing, ROUTES_VARIABLE, RouteListing};
pub use options::{ConsumerOptions, OptionsError};
pub use running::Consumer;
#[cfg(feature = "cli")]
pub(crate) use running::terminated;
pub use stats::ConsumerStats;
#[cfg(test)]
#[cfg(feature = "http")]
pub(crate) use stats::Counters;
pub use tenants::{TenantLimit, TenantLimits, TenantLimitsError, TenantStats};
