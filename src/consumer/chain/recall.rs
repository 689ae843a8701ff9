//! How the poll thread takes back what it has handed to a task.

use std::task::Context;

use super::sync::{AtomicBool, AtomicU8, AtomicWaker, Ordering};

/// Nothing is to be taken back.
const GO_ON: u8 = 0;
/// Nothing more is to begin.
const STOP: u8 = 1;
/// What runs is to end, too.
const CANCEL: u8 = 2;

/// The poll thread's word to a task, and the task's to the poll thread.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    word: AtomicU8,
    /// Whether the task is in a handler.
    begun: AtomicBool,
    waker: AtomicWaker,
}

impl Recall {
    /// Let the task begin nothing more.
    pub(crate) fn stop(&self) {
        self.say(STOP);
    }

    /// Let the task begin nothing more, and cancel what it is at.
    pub(crate) fn cancel(&self) {
        self.say(CANCEL);
    }

    fn say(&self, word: u8) {
        self.word.fetch_max(word, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Whether nothing more is to begin.
    pub(crate) fn is_stopped(&self) -> bool {
        self.word.load(Ordering::Acquire) != GO_ON
    }

    /// The same; if not, the task of `context` is woken when that changes.
    pub(crate) fn poll_stopped(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.is_stopped()
    }

    /// Whether what runs is to end; if not, the task of `context` is woken when that changes.
    pub(crate) fn poll_cancelled(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.word.load(Ordering::Acquire) == CANCEL
    }

    /// The task enters a handler, or has left it.
    pub(crate) fn set_begun(&self, begun: bool) {
        self.begun.store(begun, Ordering::Relaxed);
    }

    /// Whether the task is in a handler, or waits for a place.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }
}
