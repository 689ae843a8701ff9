//! What a service that handles or publishes events uses most: `use tidings::prelude::*;`.
//!
//! [`Result`] takes the place of the standard library's: `Result<()>` is what a handler returns, and `Result<T, E>` means what
//! it always means.

pub use crate::dispatch::{Delivery, Dispatcher, FromDelivery, Message, State};
pub use crate::event::{Event, Key};
pub use crate::outcome::{HandlerError, IntoOutcome, Outcome, Result, ResultExt};
#[cfg(feature = "macros")]
pub use crate::{Event, dispatcher, on};
