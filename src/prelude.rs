//! What a service that handles or publishes events uses most: `use tidings::prelude::*;`.
//!
//! [`Result`] takes the place of the standard library's: `Result<()>` is what a handler returns, and `Result<T, E>` means what
//! it always means.

#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub use crate::database::Transaction;
// The trait, and with the feature `macros` the derive of the same name.
pub use crate::Event;
pub use crate::dispatch::{Delivery, Dispatcher, FromDelivery, Message, State};
pub use crate::event::Key;
pub use crate::outcome::{HandlerError, IntoOutcome, Outcome, Result, ResultExt};
#[cfg(feature = "macros")]
pub use crate::{dispatcher, on};
