//! What a service that handles or publishes events uses most: `use tidings::prelude::*;`.
//!
//! [`Result`] takes the place of the standard library's: `Result<()>` is what a handler returns, and `Result<T, E>` means what
//! it always means.

pub use crate::dispatch::{Delivery, Dispatcher, FromDelivery, Message, State};
#[cfg(not(feature = "macros"))]
pub use crate::event::Event;
pub use crate::event::Key;
pub use crate::outcome::{HandlerError, IntoOutcome, Outcome, Result, ResultExt};
#[cfg(feature = "macros")]
pub use crate::{Event, dispatcher, on};
