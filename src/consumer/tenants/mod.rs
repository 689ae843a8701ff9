//! Tenants: whose event a record is, what each may use, and whose turn it is.

mod book;
mod file;
mod lane;
mod limits;
mod schedule;
mod setup;
mod tenant;
mod watch;

pub use book::TenantStats;
pub(crate) use book::{Held, Place, TenantBook};
pub use file::TenantLimitsError;
pub(crate) use lane::{LaneId, TenantId};
pub use limits::{TenantLimit, TenantLimits};
pub(crate) use schedule::Tenants;
pub(crate) use setup::{TenantsBuilder, TenantsSetup};
#[cfg(test)]
pub(crate) use watch::LimitsFile;
#[cfg(feature = "testing")]
pub(crate) use watch::WatchedLimits;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::envelope::EnvelopeView;

/// Names the tenant of a record.
pub(crate) type TenantOf = Arc<dyn for<'a> Fn(EnvelopeView<'a>) -> Option<Cow<'a, str>> + Send + Sync>;

/// What an engine needs to know of tenants.
#[derive(Clone)]
pub(crate) struct TenantParts {
    pub(crate) of: TenantOf,
    pub(crate) book: Arc<TenantBook>,
}

impl fmt::Debug for TenantParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TenantParts").field("book", &self.book).finish_non_exhaustive()
    }
}
