//! Places for calls: whoever finds none is told so before the request is read.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::ready;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::{Request, Status};

use super::ServiceOptions;
use super::grant::Grant;
use super::receiving::{Received, seated};
use super::status::to_status;
use crate::store::room::{Amount, Room, Seat};
use crate::store::{DatabaseStore, StoreError};
use crate::telemetry::names;

/// The calls that bring events; all others read, or wait.
const BRING_EVENTS: [&str; 2] = ["Append", "Relay"];

/// A service whose calls have seats, and whose requests have room.
#[derive(Debug, Clone)]
pub(super) struct Seated<S> {
    calls: S,
    store: DatabaseStore,
    /// For requests that bring events, while they are received and read.
    incoming: Arc<Room>,
    /// For reads, subscriptions and those who wait for an event, until they end.
    listening: Arc<Room>,
}

impl<S> Seated<S> {
    pub(super) fn new(calls: S, store: DatabaseStore, options: &ServiceOptions) -> Self {
        let incoming = Room::new(options.max_incoming, options.max_incoming_bytes);
        Self { calls, store, incoming, listening: Room::new(options.max_listeners, usize::MAX) }
    }

    fn seat(&self, brings_events: bool) -> Result<Seat, Status> {
        let one = Amount { events: 1, bytes: 0 };
        let seat = if !brings_events {
            self.listening.take(one)
        } else if self.store.is_full() {
            None
        } else {
            self.incoming.take(one)
        };
        seat.ok_or_else(|| {
            metrics::counter!(names::STORE_OVERLOADED).increment(1);
            to_status(&StoreError::Overloaded)
        })
    }
}

/// The seat of whoever makes `request`, to be kept for as long as it is needed.
pub(super) fn seat_of<T>(request: &mut Request<T>) -> Option<Arc<Seat>> {
    request.extensions_mut().remove()
}

impl<S> Service<http::Request<Body>> for Seated<S>
where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future = BoxFuture<http::Response<Body>, Infallible>,
        >,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.calls.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let brings_events = request.uri().path().rsplit('/').next().is_some_and(|call| BRING_EVENTS.contains(&call));
        // Who may not append is told so before anything of the request is read.
        let granted = match request.extensions().get::<Grant>() {
            Some(grant) if brings_events => grant.may_append(std::iter::empty()),
            _ => Ok(()),
        };
        match granted.and_then(|()| self.seat(brings_events)) {
            Ok(seat) => {
                let seat = Arc::new(seat);
                request.extensions_mut().insert(Arc::clone(&seat));
                let receive = if brings_events { Received::events } else { Received::question };
                let of_call = Arc::clone(&seat);
                let call = self.calls.call(request.map(|body| Body::new(receive(body, of_call))));
                seated(&seat, call).boxed()
            }
            Err(status) => ready(Ok(status.into_http())).boxed(),
        }
    }
}

impl<S: NamedService> NamedService for Seated<S> {
    const NAME: &'static str = S::NAME;
}
