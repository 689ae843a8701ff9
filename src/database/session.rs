//! What bounds a session on a server whose client may be gone.

use std::time::Duration;

/// What a server ends by itself. It does not hear of a line that dies, and would keep a transaction's locks for hours.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "mysql"), allow(dead_code, reason = "SQLite has no server"))]
pub(crate) struct SessionLimits {
    /// A session that says nothing, and its transaction.
    pub(crate) idle: Duration,
    /// A statement that reads; on MariaDB, any.
    pub(crate) statement: Duration,
    /// Waiting for a lock.
    pub(crate) lock_wait: Duration,
}
