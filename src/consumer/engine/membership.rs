//! Whether this member still is one, when it was away for longer than its session.
//!
//! A process that was stopped, suspended or starved for that long may have lost its partitions without having been told: the
//! client's own threads stood still too. Whoever has them now has gone on from the committed offsets, and a handler that begins
//! here would run side by side with another, or ahead of it. The same is true of one whose commits nobody takes. So nothing begins until the broker has taken a commit, which it
//! refuses to anybody who is no member of the group's current generation.

use std::time::Duration;

use super::Engine;
use crate::consumer::partition::Partition;
use crate::transport::ConsumerTransport;

/// What is known of the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// It is not in doubt.
    Sure,
    /// A commit is wanted to prove it.
    Doubtful,
    /// The commit is under way.
    Proving,
}

impl<T: ConsumerTransport> Engine<T> {
    /// Doubt the membership when the last turn was too long ago.
    pub(super) fn notice_absence(&mut self, last_turn: Duration) {
        let absence = self.now.saturating_sub(last_turn);
        if absence < self.session_timeout || self.slots.is_empty() {
            return;
        }
        tracing::warn!(
            group = &*self.parts.plan.group,
            absence_ms = absence.as_millis(),
            "this member was away for longer than its session; nothing begins until a commit has shown that its partitions are its own"
        );
        self.doubt();
    }

    /// Doubt the membership when no commit has been taken for as long as a session lasts. The client itself would say that the session
    /// is over, but not while it waits for the offsets of partitions that it was given.
    pub(super) fn notice_silence(&mut self) {
        let Some(since) = self.unanswered_since else { return };
        let silent = self.now.saturating_sub(since);
        if silent < self.session_timeout || self.membership != Membership::Sure || self.slots.is_empty() {
            return;
        }
        tracing::warn!(
            group = &*self.parts.plan.group,
            silent_ms = silent.as_millis(),
            "no commit was taken for as long as a session lasts; nothing begins until one has shown that the partitions are this member's"
        );
        self.doubt();
    }

    fn doubt(&mut self) {
        self.membership = Membership::Doubtful;
        for partition in self.partitions.iter_mut().flatten() {
            partition.doubtful = true;
            partition.forget_commit();
        }
        self.clear_gates();
    }

    /// Send the commit that proves the membership.
    pub(super) fn prove_membership(&mut self) {
        if self.membership != Membership::Doubtful || self.commits_under_way > 0 || self.commit_is_resting() {
            return;
        }
        let offsets = self.take_commits();
        if offsets.is_empty() {
            // Nothing was read yet: there is nothing to be ahead of.
            return self.trust_membership();
        }
        self.commit(&offsets);
        if self.commits_under_way > 0 {
            self.membership = Membership::Proving;
        }
    }

    /// A commit has ended; the one that was to prove the membership, if that is in doubt.
    pub(super) fn settle_proof(&mut self, taken: bool) {
        if self.membership != Membership::Proving {
            return;
        }
        if taken {
            self.trust_membership();
        } else {
            self.membership = Membership::Doubtful;
        }
    }

    fn trust_membership(&mut self) {
        self.membership = Membership::Sure;
        self.unanswered_since = None;
        let trust = |partition: &mut Partition| partition.doubtful = false;
        self.partitions.iter_mut().flatten().for_each(trust);
    }
}
