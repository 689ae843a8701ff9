//! Handing things to a thread that waits: what is left for it is never overlooked, and it is woken for it.
//!
//! `tests/models` includes these files once more with loom's locks and atomics, and runs the orders in which threads can meet.

mod bell;
mod reports;
mod requests;

pub(crate) use bell::Bell;
pub(crate) use reports::Reports;
pub(crate) use requests::Requests;

/// What threads meet at; the models have another one.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};

    pub(super) use crate::transport::Wake;
}
