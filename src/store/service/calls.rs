//! The calls of the service, each a few lines about the store.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::deadline::deadline;
use super::grant::Grant;
use super::seats::seat_of;
use super::status::to_status;
use crate::store::room::Seat;
use crate::store::wire::{self, event_store_server};
use crate::store::{
    Append, DatabaseStore, EventStore as _, NewEvent, Refusal, Relayed, StoreError, StreamQuery, Subscription,
};

/// The store, as it is called from elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) store: DatabaseStore,
    /// True when the service ends: streams end with it.
    pub(super) stopping: watch::Receiver<bool>,
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Calls {
    /// The stream, until the caller's deadline or the service's end.
    fn replies<T, M>(
        &self,
        stream: BoxStream<'static, Result<T, StoreError>>,
        deadline: Option<Instant>,
        seat: Option<Arc<Seat>>,
    ) -> Replies<M>
    where
        T: Into<M> + 'static,
        M: Send + 'static,
    {
        let mut stopping = self.stopping.clone();
        let ended = async move {
            let stopped = async {
                if stopping.wait_for(|stopping| *stopping).await.is_ok() {
                    Status::unavailable("this replica ends; go on with another one")
                } else {
                    std::future::pending().await
                }
            };
            match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, stopped)
                    .await
                    .unwrap_or_else(|_| to_status(&StoreError::Deadline)),
                None => stopped.await,
            }
        };
        let events = stream.map(|item| item.map(Into::into).map_err(|error| refuse(&error)));
        // The last item says why it ended, where it did not end by itself.
        let mut ended = Box::pin(ended);
        let mut events = Some(Box::pin(events));
        futures_util::stream::poll_fn(move |context| {
            use std::task::Poll;
            // Given back when the stream is.
            let _ = &seat;
            let Some(stream) = &mut events else { return Poll::Ready(None) };
            if let Poll::Ready(status) = ended.as_mut().poll(context) {
                events = None;
                return Poll::Ready(Some(Err(status)));
            }
            let next = stream.poll_next_unpin(context);
            if matches!(next, Poll::Ready(None | Some(Err(_)))) {
                events = None;
            }
            next
        })
        .boxed()
    }
}

fn sources(events: &[NewEvent]) -> impl Iterator<Item = &str> {
    events.iter().map(|event| &*event.envelope.source)
}

fn refuse(error: &StoreError) -> Status {
    if matches!(error, StoreError::Unavailable(_) | StoreError::Database(_)) {
        tracing::warn!(error = error as &dyn std::error::Error, "a call to the store failed");
    }
    to_status(error)
}

#[tonic::async_trait]
impl event_store_server::EventStore for Calls {
    type ReadStreamStream = Replies<wire::StoredEvent>;
    type SubscribeStream = Replies<wire::SubscribeReply>;

    async fn append(&self, mut request: Request<wire::AppendRequest>) -> Result<Response<wire::AppendReply>, Status> {
        let (deadline, grant) = (deadline(request.metadata()), Grant::of(&request));
        let received = seat_of(&mut request);
        let append = Append::try_from(request.into_inner()).map_err(|error| refuse(&error))?;
        grant.may_append(sources(&append.events))?;
        // From here on the store's own room counts it.
        drop(received);
        let result = match self.store.append_by(append, deadline).await {
            Ok(appended) => Ok(appended),
            Err(StoreError::Refused(refusal)) => Err(refusal),
            Err(error) => return Err(refuse(&error)),
        };
        Ok(Response::new(result.into()))
    }

    async fn relay(&self, mut request: Request<wire::RelayRequest>) -> Result<Response<wire::RelayReply>, Status> {
        let (deadline, grant) = (deadline(request.metadata()), Grant::of(&request));
        let received = seat_of(&mut request);
        let events = request.into_inner().events.into_iter().map(NewEvent::try_from).collect::<Result<Vec<_>, _>>();
        let events = events.map_err(|error| refuse(&error))?;
        // Without the right nothing is judged; one source that is not the token's must not hold up the others.
        grant.may_append(std::iter::empty())?;
        let foreign: Vec<bool> =
            sources(&events).map(|source| grant.may_append(std::iter::once(source)).is_err()).collect();
        let (mut own, mut refused) = (Vec::new(), Vec::new());
        for (event, is_foreign) in events.into_iter().zip(&foreign) {
            if *is_foreign {
                let name = event.envelope.source.into_owned();
                refused.push(Relayed::Refused(Refusal::Forbidden { name }));
            } else {
                own.push(event);
            }
        }
        drop(received);
        let own = self.store.relay_by(own, deadline).await.map_err(|error| refuse(&error))?;
        let (mut own, mut refused) = (own.into_iter(), refused.into_iter());
        let results = foreign.iter().filter_map(|foreign| if *foreign { refused.next() } else { own.next() });
        Ok(Response::new(wire::RelayReply { results: results.map(Into::into).collect() }))
    }

    async fn await_stored(
        &self,
        mut request: Request<wire::AwaitStoredRequest>,
    ) -> Result<Response<wire::AwaitStoredReply>, Status> {
        let deadline = deadline(request.metadata());
        let _seat = seat_of(&mut request);
        let id = wire::id(&request.into_inner().id).map_err(|error| refuse(&error))?;
        let mut stopping = self.stopping.clone();
        let stored = async {
            tokio::select! {
                stored = self.store.stored(id) => stored,
                _ = stopping.wait_for(|stopping| *stopping) => Err(StoreError::Closed),
            }
        };
        let stored = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, stored).await.unwrap_or(Err(StoreError::Deadline)),
            None => stored.await,
        };
        stored.map_err(|error| refuse(&error))?;
        Ok(Response::new(wire::AwaitStoredReply {}))
    }

    async fn read_stream(
        &self,
        mut request: Request<wire::ReadStreamRequest>,
    ) -> Result<Response<Self::ReadStreamStream>, Status> {
        let (deadline, grant) = (deadline(request.metadata()), Grant::of(&request));
        let seat = seat_of(&mut request);
        let query = StreamQuery::try_from(request.into_inner()).map_err(|error| refuse(&error))?;
        grant.may_read(std::iter::once(&*query.stream.source))?;
        Ok(Response::new(self.replies(self.store.read(query), deadline, seat)))
    }

    async fn subscribe(
        &self,
        mut request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (deadline, grant) = (deadline(request.metadata()), Grant::of(&request));
        let seat = seat_of(&mut request);
        let subscription = Subscription::try_from(request.into_inner()).map_err(|error| refuse(&error))?;
        grant.may_follow(&subscription.sources)?;
        Ok(Response::new(self.replies(self.store.subscribe(subscription), deadline, seat)))
    }
}
