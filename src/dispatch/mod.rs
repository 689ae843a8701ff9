//! Dispatchers: annotated impl blocks whose methods handle events, as data.
//!
//! `#[dispatcher]` turns an impl block into [`Routes`]; everything else (matching, retries, spans, metrics) is library code
//! that reads them. Tests and the command line can list a dispatcher's routes without running it.

mod batch;
mod delivery;
mod extract;
mod limits;
mod policy;
mod route;
mod router;
mod versions;

#[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
pub(crate) use batch::shared;
pub use batch::{BatchFuture, FromDeliveries, IntoOutcomes};
pub(crate) use batch::{OutcomesMissing, failed};
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(crate) use batch::{RolledBack, TakenOut};
#[cfg(feature = "consumer")]
pub(crate) use batch::{is_rolled_back, is_taken_out_for};
pub use delivery::{CompletionHook, Delivery, DeliveryContext, DeliveryParts, Extensions};
pub use extract::{FromDelivery, Message, RecordHeaders, State};
pub use limits::{BatchPolicy, BreakerOverrides, BreakerPolicy, DeliveryOrder, Limits};
pub use policy::{OnExhausted, Policy, RetryOverrides, RetryPolicy};
pub use route::{Dispatcher, HandlerFuture, PayloadInfo, Route, RouteConflict, RouteHandle, RouteInfo, Routes};
pub use router::{RouteMatch, Router};
pub use versions::Versions;
