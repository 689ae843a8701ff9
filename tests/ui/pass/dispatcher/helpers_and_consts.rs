//! What else is in the block stays as it is, and handlers can be called like any method.

use std::future::Future as _;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

#[derive(Default)]
struct Leaderboards {
    last: AtomicI64,
}

#[dispatcher(source = "accounts")]
impl Leaderboards {
    /// Where it begins.
    pub const START: i64 = 7;

    pub fn new() -> Self {
        Self { last: AtomicI64::new(Self::START) }
    }

    #[on("accounts.UserUpdated")]
    pub(crate) async fn on_user_updated(&self, event: UserUpdated) -> Result<()> {
        self.keep(event.user_id).await
    }

    async fn keep<T: Into<i64>>(&self, id: T) -> Result<()> {
        self.last.store(id.into(), Ordering::Relaxed);
        Ok(())
    }
}

impl Leaderboards {
    fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }
}

fn main() {
    let boards = Leaderboards::new();
    assert_eq!(boards.last(), Leaderboards::START);
    let handled = pin!(boards.on_user_updated(UserUpdated { user_id: 42, nickname: String::new() }))
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(handled, Poll::Ready(Ok(()))));
    assert_eq!(boards.last(), 42);
}
