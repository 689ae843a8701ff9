//! What generated code calls. Not part of the public interface: it changes without notice.

use std::sync::Arc;

use semver::VersionReq;

use crate::dispatch::{Delivery, FromDelivery, Policy, RouteInfo, Versions};
use crate::event::Event;
use crate::outcome::{HandlerError, IntoOutcome, Outcome};

pub use crate::dispatch::{HandlerFuture, PayloadInfo};
pub use std::time::Duration;

/// The versions a literal names; the macro has checked it, so what does not parse matches nothing rather than panics.
pub fn versions(requirement: &str) -> Versions {
    let nothing = || VersionReq { comparators: ["<0.0.0-0"].iter().flat_map(|text| text.parse()).collect() };
    Versions::Matching(requirement.parse().unwrap_or_else(|_| nothing()))
}

/// What is known of a route.
pub fn route_info<E: Event>(
    event: &'static str,
    versions: Versions,
    handler: &'static str,
    docs: &'static str,
    policy: Policy,
) -> RouteInfo {
    RouteInfo { event, versions, handler, docs, policy, payload: PayloadInfo::of::<E>() }
}

/// The payload of a delivery.
///
/// # Errors
/// It cannot be decoded, or the schema registry is away.
pub async fn decode<E: Event>(delivery: &Delivery) -> Result<E, HandlerError> {
    let payload = delivery.record().payload.as_deref();
    delivery.codec().decode(payload).await.map_err(crate::schema::DecodeError::into_handler_error)
}

/// An extractor's value.
///
/// # Errors
/// As the extractor says.
pub async fn extract<T: FromDelivery>(delivery: &Delivery) -> Result<T, HandlerError> {
    T::from_delivery(delivery).await
}

/// A handler's return value as an outcome.
pub fn outcome<T: IntoOutcome>(value: T) -> Outcome {
    value.into_outcome()
}

/// The shared dispatcher a handler borrows.
pub type Shared<D> = Arc<D>;

/// Whether two names are equal, at compile time.
pub const fn same_text(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
