//! What a handler's events pass before an attempt begins: its breaker, its concurrency, its rate.

use std::collections::VecDeque;
use std::time::Duration;

use super::breaker::{Admission, Breaker};
use super::key::KeyId;
use super::rate::Rate;
use crate::dispatch::{BreakerPolicy, Limits};

/// A handler's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) breaker: Breaker,
    limits: Limits,
    rate: Option<Rate>,
    running: u32,
    /// Keys whose next event is for this handler, in the order they came.
    waiting: VecDeque<WaitingKey>,
    /// When to look again, where the time is what is waited for.
    look_again: Option<Duration>,
}

/// A key that waits, under an assignment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WaitingKey {
    pub(crate) slot: usize,
    pub(crate) epoch: u64,
    pub(crate) key: KeyId,
}

impl Gate {
    pub(crate) fn new(limits: Limits, breaker: BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            rate: limits.rate.map(Rate::new),
            limits,
            running: 0,
            waiting: VecDeque::new(),
            look_again: None,
        }
    }

    /// Whether an attempt may begin now, and nobody has waited longer; if so it counts as running.
    pub(crate) fn pass_at_once(&mut self, now: Duration) -> bool {
        self.waiting.is_empty() && self.pass(now)
    }

    /// Whether an attempt may begin now; if so it counts as running.
    pub(crate) fn pass(&mut self, now: Duration) -> bool {
        if self.limits.concurrency.is_some_and(|most| self.running >= most) {
            return false;
        }
        match self.breaker.admit(now) {
            Admission::Go => {}
            Admission::Wait => return false,
            Admission::WaitUntil(until) => {
                self.look_again = Some(until);
                return false;
            }
        }
        if let Some(rate) = &mut self.rate
            && let Err(until) = rate.admit(now)
        {
            // If this was to be the probe, the next one is.
            self.breaker.vanished(now);
            self.look_again = Some(until);
            return false;
        }
        self.running += 1;
        true
    }

    /// An attempt has ended.
    pub(crate) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Let `key` wait. `false` when more than allowed wait already.
    pub(crate) fn queue(&mut self, key: WaitingKey) -> bool {
        if self.limits.max_waiting.is_some_and(|most| self.waiting.len() >= most as usize) {
            return false;
        }
        self.waiting.push_back(key);
        true
    }

    /// Let `key` wait, however many do: it was let through before.
    pub(crate) fn queue_again(&mut self, key: WaitingKey) {
        self.waiting.push_back(key);
    }

    /// Let those keys wait no longer that `keeps` is not true of.
    pub(crate) fn retain(&mut self, keeps: impl FnMut(&WaitingKey) -> bool) {
        self.waiting.retain(keeps);
    }

    /// How many keys wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The key that has waited longest, if an attempt may begin; it counts as running. For the breaker's probe it is one that is not
    /// failing already, if there is one: that a poisoned key fails once more says nothing of the handler.
    pub(crate) fn next(&mut self, now: Duration, hash: impl Fn(&WaitingKey) -> u64) -> Option<WaitingKey> {
        let probes = self.breaker.probes_next(now);
        if self.waiting.is_empty() || !self.pass_again(now) {
            return None;
        }
        let well = |key: &WaitingKey| !self.breaker.is_failing(hash(key));
        let index = if probes { self.waiting.iter().position(well) } else { None };
        self.waiting.remove(index.unwrap_or_default())
    }

    /// As [`pass`](Self::pass), but not before it is time to look again.
    pub(crate) fn pass_again(&mut self, now: Duration) -> bool {
        if self.is_shut(now) {
            return false;
        }
        self.look_again = None;
        self.pass(now)
    }

    /// Whether only time opens it.
    pub(crate) fn is_shut(&self, now: Duration) -> bool {
        self.look_again.is_some_and(|again| now < again)
    }

    /// Whether nobody waits here, and nobody would who came without limits.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.breaker.is_closed()
    }

    /// Keys that may wait.
    pub(crate) fn max_waiting(&self) -> Option<usize> {
        self.limits.max_waiting.map(|most| most as usize)
    }

    /// The key that has waited longest, whether or not an attempt may begin.
    pub(crate) fn take_waiting(&mut self) -> Option<WaitingKey> {
        self.waiting.pop_front()
    }

    /// When an attempt that was refused may begin, where only the time is waited for.
    pub(crate) fn looks_again(&self, now: Duration) -> Option<Duration> {
        self.look_again.filter(|again| *again > now)
    }

    /// How long until [`next`](Self::next) may have a key, where only the time is waited for.
    pub(crate) fn opens_in(&self, now: Duration) -> Option<Duration> {
        self.looks_again(now).filter(|_| !self.waiting.is_empty()).map(|again| again.saturating_sub(now))
    }
}
