//! How a consumer is told of its tenants.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::book::TenantBook;
use super::limits::TenantLimits;
use super::watch::{LimitsFile, WatchedLimits};
use super::{TenantOf, TenantParts};
use crate::consumer::error::BuildError;
use crate::consumer::handle::ConsumerHandle;

/// What a builder was told of tenants.
#[derive(Default)]
pub(crate) struct TenantsBuilder {
    pub(crate) of: Option<TenantOf>,
    pub(crate) limits: TenantLimits,
    pub(crate) file: Option<PathBuf>,
}

/// A consumer's tenants, before it runs.
pub(crate) struct TenantsSetup {
    pub(crate) of: TenantOf,
    pub(crate) limits: Arc<TenantLimits>,
    pub(crate) file: Option<LimitsFile>,
}

impl TenantsBuilder {
    /// Read the file, if there is one.
    ///
    /// # Errors
    /// The file cannot be used, or nothing says whose an event is.
    pub(crate) async fn check(self) -> Result<Option<TenantsSetup>, BuildError> {
        let (file, limits) = match self.file {
            Some(path) => {
                if self.of.is_none() {
                    return Err(BuildError::NoTenants { path });
                }
                let (file, limits) = LimitsFile::open(path).await?;
                (Some(file), limits)
            }
            None => (None, self.limits),
        };
        Ok(self.of.map(|of| TenantsSetup { of, limits: Arc::new(limits), file }))
    }
}

impl TenantsSetup {
    /// What the engine of one group needs.
    pub(crate) fn parts(&self) -> TenantParts {
        TenantParts { of: Arc::clone(&self.of), book: Arc::new(TenantBook::new(Arc::clone(&self.limits))) }
    }

    /// Look at the file of limits from now on, if there is one.
    pub(crate) fn watch(&self, handle: &ConsumerHandle, runtime: &Handle) -> Option<WatchedLimits> {
        let (file, handle) = (self.file.clone()?, handle.clone());
        Some(file.watch(runtime, move |limits| handle.apply_tenant_limits(&limits)))
    }
}

impl fmt::Debug for TenantsSetup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TenantsSetup")
            .field("limits", &self.limits)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
