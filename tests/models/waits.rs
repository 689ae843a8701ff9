//! Whoever waits for a place gets one when it is left, and the poll thread hears of all that was done there.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use crate::bell::Bell;
use crate::handoffs::{LONG, in_every_order, rings};
use crate::places::{Places, SharedPlaces};
use crate::recall::Recall;
use crate::recalls::Rings;
use crate::reports::Reports;

/// As a runtime does: poll again only once it was woken.
fn block_on<F: Future>(future: F) -> F::Output {
    let rings = Arc::new(Rings(Bell::default()));
    let waker = Waker::from(Arc::clone(&rings));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        rings.0.wait(LONG);
    }
}

/// As a key's task ends: quietly, while enough others wait who will be heard of.
fn finish(places: &SharedPlaces, reports: &Reports<usize>, task: usize) {
    reports.push_unless(|| !places.are_hardly_waited_for(), task);
}

/// As the engine does: turn, and wait when there was nothing.
fn hear_of(tasks: usize, reports: &Reports<usize>, bell: &Bell) {
    let (mut heard, mut buffer) = (0, Vec::new());
    while heard < tasks {
        reports.drain_into(&mut buffer);
        if buffer.is_empty() {
            bell.wait(LONG);
        }
        heard += buffer.drain(..).count();
    }
}

/// Two tasks wait for the one place, and end by `finish` when they had it.
fn two_tasks(finish: fn(&SharedPlaces, &Reports<usize>, usize)) {
    in_every_order(move || {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let mut places = Places::new(1);
        let held = places.take();
        for task in 0..2 {
            let (shared, reports) = (Arc::clone(places.shared()), Arc::clone(&reports));
            // The poll thread stages the task, which then waits by itself.
            let waiter = shared.wait();
            thread::spawn(move || {
                drop(block_on(waiter.place()));
                finish(&shared, &reports, task);
            });
        }
        drop(held);
        hear_of(2, &reports, &bell);
        assert!(places.has_one() && places.in_use() == 0);
    });
}

#[test]
fn whoever_waits_gets_the_place_that_is_left_and_is_heard_of() {
    two_tasks(finish);
}

#[test]
fn what_the_poll_thread_held_ready_goes_to_who_waits() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let mut places = Places::new(1);
        assert!(places.has_one());
        let (shared, telling) = (Arc::clone(places.shared()), Arc::clone(&reports));
        let waiter = shared.wait();
        thread::spawn(move || {
            drop(block_on(waiter.place()));
            finish(&shared, &telling, 0);
        });
        places.give_back();
        hear_of(1, &reports, &bell);
    });
}

#[test]
fn a_task_that_is_stopped_while_it_waits_leaves_its_turn_to_the_next_one() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let mut places = Places::new(1);
        let held = places.take();
        let recall = Arc::<Recall>::default();
        for task in 0..2 {
            let (shared, reports, recall) = (Arc::clone(places.shared()), Arc::clone(&reports), Arc::clone(&recall));
            let waiter = shared.wait();
            thread::spawn(move || {
                let mut place = Box::pin(waiter.place());
                let got = block_on(std::future::poll_fn(|context| {
                    if task == 0 && recall.poll_stopped(context) {
                        return Poll::Ready(None);
                    }
                    place.as_mut().poll(context).map(Some)
                }));
                drop(place);
                // What was not begun is always told at once.
                match got {
                    Some(place) => {
                        drop(place);
                        finish(&shared, &reports, task);
                    }
                    None => reports.push(task),
                }
            });
        }
        recall.stop();
        drop(held);
        hear_of(2, &reports, &bell);
        assert!(!places.are_waited_for() && places.has_one());
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_task_that_counts_as_waiting_until_it_is_over_is_found() {
    loom::model(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let mut places = Places::new(1);
        let held = places.take();
        let (shared, telling) = (Arc::clone(places.shared()), Arc::clone(&reports));
        let (waiter, still_waiting) = (shared.wait(), shared.wait());
        thread::spawn(move || {
            drop(block_on(waiter.place()));
            finish(&shared, &telling, 0);
            drop(still_waiting);
        });
        drop(held);
        hear_of(1, &reports, &bell);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_task_that_looks_who_waits_before_its_report_is_there_and_not_behind_it_is_found() {
    two_tasks(
        |places, reports, task| {
            if places.are_hardly_waited_for() { reports.push(task) } else { reports.push_quietly(task) }
        },
    );
}
