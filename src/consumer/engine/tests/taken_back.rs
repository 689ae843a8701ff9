//! Attempts that are taken back before the runtime has begun them: their handler's gate is free again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::rig::{Rig, TOPIC, options};
use crate::dispatch::Policy;
use crate::outcome::{HandlerError, Outcome};

fn one_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

/// The partition of an attempt that was handed to a task is lost before the runtime gets to that task. `ill` is how the handler is
/// then, and it is well again afterwards.
fn an_attempt_is_taken_back(policy: Policy, ill: bool) {
    let (engine, handlers) = (one_thread(), one_thread());
    engine.block_on(async {
        let fails = Arc::new(AtomicBool::new(false));
        let is_ill = Arc::clone(&fails);
        let rig = Rig::start_on(engine.handle(), handlers.handle(), options(), policy, None, move |_| {
            let is_ill = is_ill.load(Ordering::Relaxed);
            async move {
                // Never ready at once: it is soon begun in tasks only.
                tokio::time::sleep(Duration::from_millis(1)).await;
                if is_ill { HandlerError::from("out of order").into() } else { Outcome::Done }
            }
        });
        for key in 0..20 {
            rig.publish(0, &key.to_string());
        }
        let soon = Duration::from_secs(20);
        tokio::time::timeout(soon, rig.until("they are done", |rig| rig.stats().handled == 20)).await.unwrap();
        if ill {
            fails.store(true, Ordering::Relaxed);
            for key in 20..24 {
                rig.publish(1, &key.to_string());
            }
            tokio::time::timeout(soon, rig.until("it opens", |rig| rig.stats().breakers_open == 1)).await.unwrap();
        }
        let (free, blocked) = std::sync::mpsc::channel::<()>();
        handlers.spawn(async move { blocked.recv() });
        rig.publish(0, "last");
        let begins = rig.until("it is handed to a task", |rig| rig.stats().in_flight == 1);
        tokio::time::timeout(soon, begins).await.unwrap();
        rig.broker.lose(TOPIC, &[0, 1]);
        tokio::time::timeout(soon, rig.until("they are gone", |rig| rig.stats().assigned == 0)).await.unwrap();
        fails.store(false, Ordering::Relaxed);
        drop(free);
        rig.broker.assign(TOPIC, &[0, 1]);
        let handled = rig.until("it is handled here", |rig| !rig.handled_of("last").is_empty());
        tokio::time::timeout(soon, handled).await.expect("its handler begins nothing any more");
    });
    engine.shutdown_background();
    handlers.shutdown_background();
}

#[test]
fn an_attempt_that_is_taken_back_is_none_of_those_that_may_run_at_once() {
    an_attempt_is_taken_back(Policy::INHERIT.concurrency(1), false);
}

#[test]
fn a_probe_that_is_taken_back_is_followed_by_another_one() {
    let policy = Policy::INHERIT.breaker_keys(2).breaker_pause(Duration::from_millis(300));
    an_attempt_is_taken_back(policy.breaker_max_pause(Duration::from_millis(300)), true);
}
