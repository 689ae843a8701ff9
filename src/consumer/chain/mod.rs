//! A key's events in a task of their own: one behind the other, without the poll thread in between.
//!
//! The poll thread keeps the events and remains the one who says what becomes of them. The task has their deliveries, handles one
//! after the other as long as each is done, and reports each. When it has kept its place for its share of time, it waits for another one,
//! behind those who wait already.

mod alarm;
mod last_turn;
mod recall;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

pub(crate) use alarm::Alarm;
pub(crate) use last_turn::LastTurn;
pub(crate) use recall::Recall;
use tracing::Span;

use super::attempt::{Attempt, HandlerTimeout};
use super::completions::{Duty, Finished, RouteId};
use super::engine::Measured;
use super::places::{Place, SharedPlaces, Waiter};
use super::plan::{BoundHandle, BoundRoute, GroupPlan};
use super::tenants;
use crate::clock::Clock;
use crate::dispatch::Delivery;
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::telemetry::spans;

/// What the poll thread and tasks meet at. `tests/models` includes what uses it once more, with loom's.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

    pub(super) use futures_util::task::AtomicWaker;
}

/// How long a key may keep a place for its next events. Handlers that are done sooner cost less than changing places; whoever takes
/// longer waits behind the others, and lets the other tasks of the thread have their turn.
const SHARE: Duration = Duration::from_micros(200);

/// What all chains of an engine share.
pub(crate) struct ChainParts {
    pub(crate) plan: Arc<GroupPlan>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) places: Arc<SharedPlaces>,
    /// Whether keys wait that have no task: then a place is theirs in their turn, and no key goes on beyond its share.
    pub(crate) crowded: AtomicBool,
    pub(crate) last_turn: LastTurn,
}

/// An event that is to be handled.
pub(crate) struct Link {
    pub(crate) delivery: Delivery,
    pub(crate) route: RouteId,
    pub(crate) measured: Option<Measured>,
}

/// An attempt that has begun.
pub(crate) struct Begun {
    attempt: Attempt,
    span: Span,
    measured: Option<Measured>,
    limit: Duration,
}

/// What a chain begins with.
pub(crate) enum First {
    /// An attempt that has begun on the poll thread, and has its place.
    Begun(Begun, Alarm, Place),
    /// An event that has its place.
    Placed(Link, Place),
    /// An event that waits for a place.
    Waiting(Link, Waiter),
}

/// A key's events in a task of their own.
pub(crate) struct Chain {
    pub(crate) parts: Arc<ChainParts>,
    pub(crate) duty: Duty,
    pub(crate) recall: Arc<Recall>,
    pub(crate) first: First,
    /// What is handled behind the first one, as long as each is done.
    pub(crate) links: VecDeque<Link>,
    /// Given back before it is told that the attempt has ended: then somebody else's turn may come.
    pub(crate) tenants_place: Option<tenants::Place>,
}

impl Begun {
    /// Call the handler of `bound` for `delivery`. `None` where it takes batches.
    pub(crate) fn begin(bound: &BoundRoute, delivery: &Delivery, measured: Option<Measured>) -> Option<Self> {
        let BoundHandle::Single(handle) = &bound.handle else { return None };
        let span = spans::process(delivery);
        let attempt = Attempt::new(delivery.clone(), |delivery| handle(delivery)).in_span(span.clone());
        Some(Self { attempt, span, measured, limit: bound.policy.timeout })
    }

    pub(crate) fn attempt(&mut self) -> &mut Attempt {
        &mut self.attempt
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// The attempt came to `outcome`.
    pub(crate) fn end(self, outcome: &Outcome) {
        if let Some(measured) = self.measured {
            measured.finish(outcome);
        }
    }
}

impl Chain {
    /// Handle the events, until one of them is not done, the poll thread stops it, or there are no more.
    pub(crate) async fn run(self) {
        let Self { parts, mut duty, recall, first, mut links, mut tenants_place } = self;
        let mut alarm = Alarm::default();
        let (mut begun, mut link, mut place, mut waiter) = (None, None, None, None);
        let mut held_since = None;
        // Those that wait for a place, or for the one before, pass no gate: where there are limits they do not wait here.
        let mut passed_gate = matches!(first, First::Placed(..));
        match first {
            First::Begun(attempt, armed, free) => {
                (begun, place) = (Some(attempt), Some(free));
                alarm = armed;
            }
            First::Placed(first, free) => (link, place) = (Some(first), Some(free)),
            First::Waiting(first, waits) => (link, waiter) = (Some(first), Some(waits)),
        }
        loop {
            let held = match place.take() {
                Some(place) => Some(place),
                None => wait(waiter.take().unwrap_or_else(|| parts.places.wait()), &recall).await,
            };
            let now = parts.clock.monotonic();
            let since = *held_since.get_or_insert(now);
            let current = match (begun.take(), link.take()) {
                (Some(begun), _) => Some(begun),
                (None, Some(link))
                    if held.is_some() && !parts.last_turn.is_too_long_ago(now) && !recall.is_stopped() =>
                {
                    duty.set_route(link.route);
                    let bound = &parts.plan.topics[link.route.0].routes[link.route.1];
                    Begun::begin(bound, &link.delivery, link.measured.map(Measured::begin))
                }
                _ => None,
            };
            let Some(current) = current else { return duty.finish(Finished::NotBegun { passed_gate }) };
            passed_gate = false;
            recall.set_begun(true);
            let (finished, was_ready) = attempt(current, &mut alarm, &*parts.clock, &recall).await;
            recall.set_begun(false);
            drop(tenants_place.take());
            if !matches!(finished, Finished::Attempt(Outcome::Done)) {
                return duty.finish_with(finished, held);
            }
            let has_share = parts.clock.monotonic().saturating_sub(since) < SHARE;
            place = held.filter(|_| has_share);
            let goes_on = !recall.is_stopped() && (has_share || !parts.crowded.load(Ordering::Relaxed));
            let Some(next) = links.pop_front().filter(|_| goes_on) else {
                drop(place);
                // While others have enough to begin with, the poll thread need not see to it at once.
                let others_report = || !recall.is_stopped() && !parts.places.are_hardly_waited_for();
                return duty.finish_unless(others_report, finished);
            };
            duty.go_on(finished);
            link = Some(next);
            if !has_share {
                held_since = None;
                if was_ready {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Wait for a place, unless it is wanted no more.
async fn wait(waiter: Waiter, recall: &Recall) -> Option<Place> {
    let mut place = pin!(waiter.place());
    poll_fn(|context| {
        if recall.poll_stopped(context) {
            return Poll::Ready(None);
        }
        place.as_mut().poll(context).map(Some)
    })
    .await
}

/// Make the attempt, until it ends, its timeout comes, or it is cancelled; and whether it was ready at once.
async fn attempt(mut begun: Begun, alarm: &mut Alarm, clock: &dyn Clock, recall: &Recall) -> (Finished, bool) {
    let (mut due, limit) = (None, begun.limit);
    let ended = poll_fn(|context| {
        if let Poll::Ready(outcome) = Pin::new(&mut begun.attempt).poll(context) {
            return Poll::Ready(Some(outcome));
        }
        let due = *due.get_or_insert_with(|| clock.monotonic().saturating_add(limit));
        if alarm.poll_due(due, clock, context) {
            let error = HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit));
            spans::fail(&begun.span, error.class().as_str());
            return Poll::Ready(Some(error.into()));
        }
        if recall.poll_cancelled(context) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    // Cut short, it is over before anybody hears of it.
    let Begun { attempt, measured, .. } = begun;
    drop(attempt);
    let finished = ended.map_or(Finished::Vanished, |outcome| {
        if let Some(measured) = measured {
            measured.finish(&outcome);
        }
        Finished::Attempt(outcome)
    });
    (finished, due.is_none())
}
