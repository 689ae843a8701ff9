//! Requests that are being received, counted byte by byte: a caller says how many calls it makes, not how much it sends.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

use super::status::to_status;
use crate::store::StoreError;
use crate::store::room::Seat;
use crate::telemetry::names;

/// How long a request may take to arrive: its seat is somebody else's, too.
const RECEIVING: Duration = Duration::from_secs(30);

/// The largest request that brings no events, in bytes.
const LARGEST_QUESTION: usize = 64 * 1_024;

/// A request's body. Its bytes are in the seat's room, and where there is no more, the request ends; as it does when it takes too long.
pub(super) struct Received {
    body: Body,
    seat: Arc<Seat>,
    /// How many bytes it may still bring.
    left: usize,
    too_long: Pin<Box<Sleep>>,
}

impl Received {
    /// The events that `body` brings, as bytes of `seat`. How many these may be is up to who decodes them.
    pub(super) fn events(body: Body, seat: Arc<Seat>) -> Self {
        Self { body, seat, left: usize::MAX, too_long: Box::pin(sleep(RECEIVING)) }
    }

    /// What `body` asks for, as bytes of `seat`.
    pub(super) fn question(body: Body, seat: Arc<Seat>) -> Self {
        Self { left: LARGEST_QUESTION, ..Self::events(body, seat) }
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
            let reason = format!("a request that brings no events has at most {LARGEST_QUESTION} bytes");
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
    async fn a_question_that_is_as_long_as_events_are_is_refused() {
        let room = Room::new(10, usize::MAX);
        let seat = Arc::new(room.take(Amount { events: 1, bytes: 0 }).unwrap());
        let ask = |bytes: usize| Received::question(Body::new("x".repeat(bytes)), Arc::clone(&seat));
        assert_eq!(receive(&mut ask(LARGEST_QUESTION)).await, Some(Ok(LARGEST_QUESTION)));
        assert_eq!(receive(&mut ask(LARGEST_QUESTION + 1)).await, Some(Err(Code::InvalidArgument)));
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
