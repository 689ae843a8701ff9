//! Nothing that is handed over is lost, and nobody waits for what is there.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::bell::Bell;
use crate::reports::Reports;
use crate::requests::Requests;
use crate::sync::Wake;

pub(crate) const LONG: Duration = Duration::from_secs(1);

pub(crate) fn rings(bell: &Arc<Bell>) -> Wake {
    let bell = Arc::clone(bell);
    Arc::new(move || bell.ring())
}

/// Every order in which no thread is interrupted more than three times: beyond that, three threads have too many.
pub(crate) fn in_every_order(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn every_report_arrives_and_none_is_waited_for_in_vain() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        for number in 0..2_usize {
            let reports = Arc::clone(&reports);
            thread::spawn(move || reports.push(number));
        }
        let (mut seen, mut buffer) = ([0, 0], Vec::new());
        // As the engine does: turn, and wait when there was nothing.
        while seen != [1, 1] {
            reports.drain_into(&mut buffer);
            if buffer.is_empty() {
                bell.wait(LONG);
            }
            buffer.drain(..).for_each(|number| seen[number] += 1);
        }
    });
}

#[test]
fn a_report_behind_one_that_was_taken_already_wakes_again() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let reporting = Arc::clone(&reports);
        thread::spawn(move || {
            reporting.push(1);
            reporting.push(2);
        });
        let (mut seen, mut buffer) = (Vec::new(), Vec::new());
        while seen.len() < 2 {
            reports.drain_into(&mut buffer);
            if buffer.is_empty() {
                bell.wait(LONG);
            }
            seen.append(&mut buffer);
        }
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn a_quiet_report_is_taken_along_whenever_another_one_rings() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let reporting = Arc::clone(&reports);
        thread::spawn(move || {
            reporting.push_quietly(1);
            reporting.push(2);
            reporting.push_quietly(3);
            reporting.push(4);
        });
        let (mut seen, mut buffer) = (Vec::new(), Vec::new());
        while seen.len() < 4 {
            reports.drain_into(&mut buffer);
            if buffer.is_empty() {
                bell.wait(LONG);
            }
            seen.append(&mut buffer);
        }
        assert_eq!(seen, [1, 2, 3, 4]);
    });
}

#[test]
fn a_report_that_rings_is_heard_whoever_else_reports_quietly() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let (quiet, loud) = (Arc::clone(&reports), Arc::clone(&reports));
        thread::spawn(move || quiet.push_quietly(1));
        thread::spawn(move || loud.push(2));
        let (mut heard, mut buffer) = (false, Vec::new());
        while !heard {
            reports.drain_into(&mut buffer);
            if buffer.is_empty() {
                bell.wait(LONG);
            }
            heard |= buffer.drain(..).any(|report| report == 2);
        }
    });
}

#[test]
fn requests_made_while_the_thread_starts_are_done() {
    in_every_order(|| {
        let requests = Arc::<Requests<i32>>::default();
        for _ in 0..2 {
            let requests = Arc::clone(&requests);
            thread::spawn(move || requests.send(1));
        }
        let bell = Arc::<Bell>::default();
        requests.wake_by(rings(&bell));
        let mut seen = 0;
        while seen < 2 {
            let taken = requests.take();
            if taken.is_empty() {
                bell.wait(LONG);
            }
            seen += taken.len();
        }
    });
}

#[test]
fn requests_made_while_one_engine_follows_another_are_done_by_one_of_them() {
    in_every_order(|| {
        let requests = Arc::<Requests<i32>>::default();
        let first = Arc::<Bell>::default();
        requests.wake_by(rings(&first));
        let asking = Arc::clone(&requests);
        thread::spawn(move || asking.send(1));
        // The first engine takes one last look and ends; the second one has another bell.
        let mut seen = requests.take().len();
        let second = Arc::<Bell>::default();
        requests.wake_by(rings(&second));
        while seen < 1 {
            let taken = requests.take();
            if taken.is_empty() {
                second.wait(LONG);
            }
            seen += taken.len();
        }
    });
}

#[test]
fn a_shutdown_is_noticed_whenever_it_comes() {
    in_every_order(|| {
        let requests = Arc::<Requests<i32>>::default();
        let shutdown = Arc::new(AtomicBool::new(false));
        let (asking, flag) = (Arc::clone(&requests), Arc::clone(&shutdown));
        thread::spawn(move || {
            flag.store(true, Ordering::Release);
            asking.wake();
        });
        let bell = Arc::<Bell>::default();
        requests.wake_by(rings(&bell));
        while !shutdown.load(Ordering::Acquire) {
            bell.wait(LONG);
        }
    });
}

#[test]
fn a_bell_that_many_ring_is_heard_for_each_of_their_reasons() {
    in_every_order(|| {
        let bell = Arc::<Bell>::default();
        let reports = Reports::new(rings(&bell));
        let requests = Arc::<Requests<i32>>::default();
        requests.wake_by(rings(&bell));
        let (reporting, asking) = (Arc::clone(&reports), Arc::clone(&requests));
        thread::spawn(move || reporting.push(1));
        thread::spawn(move || asking.send(1));
        let (mut seen, mut buffer) = (0, Vec::new());
        while seen < 2 {
            let asked = requests.take().len();
            reports.drain_into(&mut buffer);
            if buffer.is_empty() && asked == 0 {
                bell.wait(LONG);
            }
            seen += asked + buffer.drain(..).count();
        }
    });
}
