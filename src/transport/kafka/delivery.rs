//! The way of an acknowledgement from the client's thread to the task that awaits it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::transport::{ProduceError, Written};

/// One record's acknowledgement. The client holds one reference while the record is under way, the future the other:
/// one allocation a record.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    pub(super) topic: Arc<str>,
    pub(super) bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Done(Result<Written, ProduceError>),
    Taken,
}

impl Acknowledgement {
    pub(super) fn new(topic: Arc<str>, bytes: usize) -> Arc<Self> {
        Arc::new(Self { topic, bytes, state: Mutex::new(State::Waiting(None)) })
    }

    pub(super) fn complete(&self, result: Result<Written, ProduceError>) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Done(result));
        // Woken outside the lock: the woken task takes it at once.
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// Resolves when its record is acknowledged or has failed.
#[derive(Debug)]
pub(super) struct Acknowledged(pub(super) Arc<Acknowledgement>);

impl Future for Acknowledged {
    type Output = Result<Written, ProduceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock();
        match &mut *state {
            State::Waiting(Some(waker)) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            State::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            State::Done(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::Done(result) => Poll::Ready(result),
                State::Waiting(_) | State::Taken => Poll::Pending,
            },
            // A future is not polled after it resolved.
            State::Taken => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_result_given_before_or_after_the_first_poll_arrives() {
        let written = Written { partition: 1, offset: Some(2) };
        let early = Acknowledgement::new("t".into(), 0);
        early.complete(Ok(written));
        assert_eq!(Acknowledged(early).now_or_never().unwrap().unwrap(), written);

        let late = Acknowledgement::new("t".into(), 0);
        let awaiting = tokio::spawn(Acknowledged(Arc::clone(&late)));
        while matches!(&*late.state.lock(), State::Waiting(None)) {
            tokio::task::yield_now().await;
        }
        late.complete(Ok(written));
        assert_eq!(awaiting.await.unwrap().unwrap(), written);
    }
}
