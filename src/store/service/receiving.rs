//! Requests that are being received, counted byte by byte: a caller says how many calls it makes, not how much it sends.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::futures::TaskLocalFuture;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

use super::LARGEST_REQUEST;
use super::status::to_status;
use crate::store::StoreError;
use crate::store::room::Seat;
use crate::telemetry::names;

/// How long a request may take to arrive: its seat is somebody else's, too.
const RECEIVING: Duration = Duration::from_secs(30);

/// The largest request that brings no events, in bytes.
const LARGEST_QUESTION: usize = 64 * 1_024;

/// What stands before a message: whether it is compressed, and its length.
const MESSAGE_HEADER: usize = 5;

tokio::task_local! {
    /// The seat of the request that is received and decoded here. What is decoded is not the request's for longer than its seat is.
    static SEAT: Weak<Seat>;
}

/// `call`, which decodes the request of `seat`.
pub(super) fn seated<F: Future>(seat: &Arc<Seat>, call: F) -> TaskLocalFuture<Weak<Seat>, F> {
    SEAT.scope(Arc::downgrade(seat), call)
}

/// Count `bytes` more, that the request which is decoded here is about to take in memory.
pub(in crate::store) fn take_for_decoding(bytes: usize) -> Result<(), StoreError> {
    let seat = SEAT.try_with(Weak::upgrade).ok().flatten();
    if seat.is_none_or(|seat| seat.grow(bytes)) {
        return Ok(());
    }
    metrics::counter!(names::STORE_OVERLOADED).increment(1);
    Err(StoreError::Overloaded)
}

/// A request's body. Its bytes are in the seat's room, and where there is no more, the request ends; as it does when it takes too long.
pub(super) struct Received {
    body: Body,
    seat: Arc<Seat>,
    /// How many bytes it may bring, and how many of them are still to come.
    most: usize,
    left: usize,
    too_long: Pin<Box<Sleep>>,
}

impl Received {
    /// The events that `body` brings, as bytes of `seat`.
    pub(super) fn events(body: Body, seat: Arc<Seat>) -> Self {
        Self::new(body, seat, LARGEST_REQUEST + MESSAGE_HEADER)
    }

    /// What `body` asks for, as bytes of `seat`.
    pub(super) fn question(body: Body, seat: Arc<Seat>) -> Self {
        Self::new(body, seat, LARGEST_QUESTION)
    }

    fn new(body: Body, seat: Arc<Seat>, most: usize) -> Self {
        Self { body, seat, most, left: most, too_long: Box::pin(sleep(RECEIVING)) }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let is_over = self.too_long.as_mut().poll(context).is_ready();
            return if is_over { Poll::Ready(Some(Err(to_status(&StoreError::Deadline)))) } else { Poll::Pending };
        };
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        let Some(left) = self.left.checked_sub(bytes) else {
            let reason = format!("a request of this kind has at most {} bytes", self.most);
            return Poll::Ready(Some(Err(to_status(&StoreError::Invalid { reason }))));
        };
        self.left = left;
        if self.seat.grow(bytes) {
            return Poll::Ready(frame);
        }
        metrics::counter!(names::STORE_OVERLOADED).increment(1);
        Poll::Ready(Some(Err(to_status(&StoreError::Overloaded))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body::Body as _;
    use tonic::Code;

    use super::*;
    use crate::store::room::{Amount, Room};

    fn call(room: &Arc<Room>, bytes: usize) -> (Received, Arc<Seat>) {
        let seat = Arc::new(room.take(Amount { events: 1, bytes: 0 }).unwrap());
        (Received::events(Body::new("x".repeat(bytes)), Arc::clone(&seat)), seat)
    }

    async fn receive(received: &mut Received) -> Option<Result<usize, Code>> {
        let frame = poll_fn(|context| Pin::new(&mut *received).poll_frame(context)).await?;
        Some(frame.map(|frame| frame.data_ref().unwrap().len()).map_err(|status| status.code()))
    }

    #[tokio::test]
    async fn a_request_that_finds_no_room_for_its_bytes_ends_and_one_that_does_keeps_it() {
        let room = Room::new(10, 100);
        let (mut first, first_seat) = call(&room, 60);
        let (mut second, second_seat) = call(&room, 60);
        assert_eq!(receive(&mut first).await, Some(Ok(60)));
        assert_eq!(receive(&mut second).await, Some(Err(Code::ResourceExhausted)));
        drop((second, second_seat));
        assert_eq!(receive(&mut first).await, None);
        drop(first);
        assert!(!room.is_full(), "the request is read, and has its seat");
        drop(first_seat);
        assert_eq!(room.taken(), 0);
        let (mut third, _seat) = call(&room, 200);
        assert_eq!(receive(&mut third).await, Some(Ok(200)), "one alone may be of any size");
    }

    #[tokio::test]
    async fn a_request_that_is_longer_than_any_of_its_kind_is_refused() {
        let room = Room::new(10, usize::MAX);
        let seat = Arc::new(room.take(Amount { events: 1, bytes: 0 }).unwrap());
        let kinds = [
            (Received::question as fn(Body, Arc<Seat>) -> Received, LARGEST_QUESTION),
            (Received::events, LARGEST_REQUEST + MESSAGE_HEADER),
        ];
        for (kind, most) in kinds {
            let ask = |bytes: usize| kind(Body::new("x".repeat(bytes)), Arc::clone(&seat));
            assert_eq!(receive(&mut ask(most)).await, Some(Ok(most)));
            assert_eq!(receive(&mut ask(most + 1)).await, Some(Err(Code::InvalidArgument)));
        }
    }

    #[tokio::test]
    async fn what_is_decoded_takes_room_for_as_long_as_its_request_has_a_seat() {
        let room = Room::new(10, 100);
        let (first, second) = (call(&room, 0).1, call(&room, 0).1);
        seated(&first, async { take_for_decoding(60).unwrap() }).await;
        let refused = seated(&second, async { take_for_decoding(60) }).await;
        assert!(matches!(refused, Err(StoreError::Overloaded)));
        drop(first);
        seated(&second, async { take_for_decoding(60).unwrap() }).await;
        // A client has no seats.
        take_for_decoding(usize::MAX).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_arrive_ends() {
        struct Never;

        impl http_body::Body for Never {
            type Data = Bytes;
            type Error = Status;

            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
                Poll::Pending
            }
        }

        let seat = Arc::new(Room::new(10, 100).take(Amount { events: 1, bytes: 0 }).unwrap());
        let mut received = Received::events(Body::new(Never), seat);
        assert_eq!(receive(&mut received).await, Some(Err(Code::DeadlineExceeded)));
    }
}
