//! Routes: which handler takes which events.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use super::{BatchFuture, BatchPolicy, Delivery, Policy, Versions};
use crate::outcome::Outcome;

/// What a handler is while it runs.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A type whose annotated methods handle events. Implement it with `#[dispatcher]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a dispatcher",
    note = "annotate its impl block: `#[dispatcher(source = \"accounts\")] impl {Self} {{ … }}`"
)]
pub trait Dispatcher: Sized + Send + Sync + 'static {
    /// The service whose events it handles: the topic's name.
    const SOURCE: &'static str;
    /// The dispatcher's own name; the default group is `{service}.{NAME}`.
    const NAME: &'static str;

    /// Its routes, in the order of the methods.
    fn routes() -> Routes<Self>;
}

/// What is known of a route without running it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The event's name.
    pub event: &'static str,
    /// The payload versions it takes.
    pub versions: Versions,
    /// The method's name.
    pub handler: &'static str,
    /// The method's documentation comment; empty without one.
    pub docs: &'static str,
    /// What the handler and its block say about failures, order and limits.
    pub policy: Policy,
    /// What of it the handler says itself.
    pub own: Policy,
    /// The type the payload becomes.
    pub payload: PayloadInfo,
    /// Whether the handler takes a `Transaction`, or something that opens one.
    pub uses_transaction: bool,
    /// How events are put together, for a handler of batches.
    pub batch: Option<BatchPolicy>,
}

impl RouteInfo {
    /// The same route, to a handler of batches.
    #[must_use]
    pub fn batch(mut self, policy: BatchPolicy) -> Self {
        self.batch = Some(policy);
        self
    }
}

/// The type a payload becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PayloadInfo {
    /// The event's name.
    pub event: &'static str,
    /// The version the type was written for.
    pub version: &'static str,
    /// Its Avro schema, as JSON.
    pub schema: &'static str,
    /// The type of the version before, whose events become this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older: Option<&'static Self>,
}

impl PayloadInfo {
    /// What `E` says of itself.
    pub const fn of<E: crate::Event>() -> Self {
        let older = match E::UPCASTS {
            Some(upcasts) => Some(upcasts.older()),
            None => None,
        };
        Self { event: E::NAME, version: E::VERSION, schema: E::SCHEMA, older }
    }
}

/// A route of the dispatcher `D`.
pub struct Route<D> {
    /// What is known of it.
    pub info: RouteInfo,
    /// Runs the handler.
    pub handle: RouteHandle<D>,
}

/// Runs a handler of the dispatcher `D`.
pub enum RouteHandle<D> {
    /// With one event.
    Single(fn(Arc<D>, Delivery) -> HandlerFuture),
    /// With many.
    Batch(fn(Arc<D>, Vec<Delivery>) -> BatchFuture),
}

impl<D> Clone for RouteHandle<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for RouteHandle<D> {}

impl<D> fmt::Debug for RouteHandle<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Single(_) => "Single",
            Self::Batch(_) => "Batch",
        })
    }
}

/// A dispatcher's routes.
pub struct Routes<D> {
    routes: Vec<Route<D>>,
}

impl<D> Routes<D> {
    /// No routes.
    pub const fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// Add a route behind the others.
    pub fn push(&mut self, route: Route<D>) {
        self.routes.push(route);
    }

    /// What is known of each route.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = &RouteInfo> {
        self.routes.iter().map(|route| &route.info)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Check that no two routes take the same version of an event.
    ///
    /// The macro has checked this already, except between handlers with `#[cfg]`, which it cannot evaluate.
    ///
    /// # Errors
    /// The first two routes that overlap.
    pub fn check(&self) -> Result<(), RouteConflict> {
        for (index, right) in self.infos().enumerate() {
            let overlapping = self
                .infos()
                .take(index)
                .find(|left| left.event == right.event && left.versions.overlap(&right.versions));
            if let Some(left) = overlapping {
                return Err(RouteConflict {
                    event: right.event,
                    left: left.handler,
                    left_versions: left.versions.clone(),
                    right: right.handler,
                    right_versions: right.versions.clone(),
                });
            }
        }
        Ok(())
    }
}

impl<D> Default for Routes<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D, const N: usize> From<[Route<D>; N]> for Routes<D> {
    fn from(routes: [Route<D>; N]) -> Self {
        Self { routes: routes.into() }
    }
}

impl<D> IntoIterator for Routes<D> {
    type Item = Route<D>;
    type IntoIter = std::vec::IntoIter<Route<D>>;

    fn into_iter(self) -> Self::IntoIter {
        self.routes.into_iter()
    }
}

impl<D> fmt::Debug for Route<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(formatter)
    }
}

impl<D> fmt::Debug for Routes<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.infos()).finish()
    }
}

/// Two routes take the same version of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{right}` takes {event} {right_versions}, which overlaps with {left_versions} of `{left}`; an event may match one handler \
     only: make the version ranges disjoint"
)]
#[non_exhaustive]
pub struct RouteConflict {
    /// The event's name.
    pub event: &'static str,
    /// One handler.
    pub left: &'static str,
    /// Its versions.
    pub left_versions: Versions,
    /// The other handler.
    pub right: &'static str,
    /// Its versions.
    pub right_versions: Versions,
}
