//! Failures: retries, dead letters, panics, timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::rig::{Rig, key_of, options};
use crate::consumer::dead_letter_header as header;
use crate::consumer::error::StopReason;
use crate::dispatch::{OnExhausted, Policy, RetryPolicy};
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::schema::{Codec, RegisteredSchema, Registration, RegistryError, SchemaRegistry};
use crate::transport::Headers;

#[tokio::test(start_paused = true)]
async fn a_failing_event_holds_only_its_key() {
    let rig = Rig::start(options(), |delivery| async move {
        if key_of(&delivery) == "bad" && delivery.attempt() < 4 {
            HandlerError::from("away").into()
        } else {
            Outcome::Done
        }
    });
    rig.publish(0, "bad");
    rig.publish(0, "bad");
    rig.publish(0, "good");
    rig.until("the good key is done", |rig| rig.handled_of("good") == [2]).await;
    rig.until("the bad key recovers", |rig| rig.handled_of("bad") == [0, 1]).await;
    // Offset 1 is a delivery of its own, with three failures of its own.
    assert_eq!((rig.stats().retried, rig.stats().dead_lettered), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_caught_and_holds_only_its_key() {
    let rig = Rig::start(options(), |delivery| async move {
        assert!(key_of(&delivery) != "bad" || delivery.attempt() > 1, "no such player");
        Outcome::Done
    });
    rig.publish(0, "bad");
    rig.publish(0, "good");
    rig.until("both are done", |rig| rig.handled.lock().len() == 2).await;
    assert_eq!(rig.handled.lock()[0].0, "good");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_for_good_is_dead_lettered_and_its_key_goes_on() {
    let policy = Policy::INHERIT.max_attempts(3);
    let rig = Rig::start_with(options(), policy, None, |delivery| async move {
        if delivery.record().offset == 0 { HandlerError::from("away").into() } else { Outcome::Done }
    });
    rig.publish(0, "42");
    rig.publish(0, "42");
    rig.until("both are settled", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
    assert_eq!(rig.handled_of("42"), [1]);
    let letters = rig.letters.written.lock();
    let headers = &letters[0].headers;
    assert_eq!(&*letters[0].topic, "tests.Tests.dead-letters");
    assert_eq!(headers.get_str(header::ATTEMPTS), Some("3"));
    assert_eq!(headers.get_str(header::HANDLER), Some("Tests::handler"));
    assert_eq!(headers.get_str(header::MESSAGE), Some("away"));
    assert_eq!(letters[0].payload.as_deref(), Some(&b"payload"[..]));
    assert_eq!(rig.stats().dead_lettered, 1);
}

#[tokio::test(start_paused = true)]
async fn the_offset_waits_until_the_dead_letter_is_written() {
    let rig = Rig::start(options(), |_| async { Outcome::dead_letter("no use") });
    rig.letters.refusals.lock().extend([(); 5]);
    rig.publish(0, "42");
    rig.publish(0, "42");
    rig.until("the refusals are used up", |rig| {
        assert!(
            rig.broker.committed("accounts", 0).is_none_or(|offset| offset == 0)
                || rig.letters.refusals.lock().is_empty()
        );
        rig.letters.refusals.lock().is_empty()
    })
    .await;
    rig.until("both are committed", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
    assert_eq!(rig.letters.written.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_can_never_be_written_stops_the_consumer() {
    let rig = Rig::start(options(), |_| async { Outcome::dead_letter("no use") });
    *rig.letters.too_large.lock() = true;
    rig.publish(0, "42");
    let broker = rig.broker.clone();
    let reason = rig.task.await.unwrap().unwrap_err();
    assert!(matches!(reason, StopReason::DeadLetterRefused { offset: 0, .. }), "{reason}");
    assert_eq!(broker.committed("accounts", 0).unwrap_or(0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_cancelled_and_tried_again() {
    let policy = Policy::INHERIT.timeout(Duration::from_secs(2));
    let rig = Rig::start_with(options(), policy, None, |delivery| async move {
        if delivery.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        Outcome::Done
    });
    rig.publish(0, "42");
    rig.until("the second attempt succeeds", |rig| rig.handled_of("42") == [0]).await;
    assert_eq!(rig.stats().retried, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_counts_as_no_attempt() {
    let policy = Policy::INHERIT.max_attempts(2);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let rig = Rig::start_with(options(), policy, None, move |delivery| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_eq!(delivery.attempt(), 1);
            if call < 50 { HandlerError::new(ErrorClass::Unavailable, "registry away").into() } else { Outcome::Done }
        }
    });
    rig.publish(0, "42");
    rig.until("it is handled", |rig| rig.handled_of("42") == [0]).await;
    assert_eq!((calls.load(Ordering::Relaxed), rig.stats().dead_lettered), (51, 0));
}

#[tokio::test(start_paused = true)]
async fn a_policy_may_stop_the_consumer_and_loses_nothing() {
    let policy = Policy::INHERIT.max_attempts(1).on_exhausted(OnExhausted::Stop);
    let rig = Rig::start_with(options(), policy, None, |delivery| async move {
        if delivery.record().offset == 1 { HandlerError::from("away").into() } else { Outcome::Done }
    });
    rig.publish(0, "1");
    rig.publish(0, "2");
    let broker = rig.broker.clone();
    let reason = rig.task.await.unwrap().unwrap_err();
    assert!(matches!(reason, StopReason::Exhausted { offset: 1, .. }), "{reason}");
    assert_eq!(broker.committed("accounts", 0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_handles_is_skipped_and_counted() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.publish_event(0, "42", "accounts.SomethingElse");
    rig.broker.append("accounts", 0, Some(b"42"), None, Headers::new());
    rig.publish(0, "42");
    rig.until("all is committed", |rig| rig.broker.committed("accounts", 0) == Some(3)).await;
    assert_eq!((rig.stats().skipped, rig.stats().handled), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_filter_decides_from_the_envelope_alone() {
    let rig = Rig::start_with(
        options(),
        Policy::INHERIT,
        Some(Arc::new(|envelope| envelope.id() != Some("0-no"))),
        |_| async { Outcome::Done },
    );
    rig.publish(0, "no");
    rig.publish(0, "yes");
    rig.until("all is committed", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
    assert_eq!(rig.handled.lock().clone(), [("yes".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_panics_loses_nothing() {
    let rig =
        Rig::start_with(options(), Policy::INHERIT, Some(Arc::new(|_| panic!("a bug"))), |_| async { Outcome::Done });
    rig.publish(0, "42");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    assert_eq!(rig.letters.written.lock()[0].headers.get_str(header::CLASS), Some("panic"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_before_its_handler_is_given_up_as_the_handlers_policy_says() {
    let policy = Policy::INHERIT.on_exhausted(OnExhausted::ParkKey);
    let rig = Rig::start_with(options(), policy, Some(Arc::new(|_| panic!("a bug"))), |_| async { Outcome::Done });
    rig.publish(0, "42");
    rig.publish(0, "42");
    rig.until("its key is parked", |rig| rig.stats().parked == 2).await;
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
    assert_eq!((rig.letters.written.lock().len(), rig.stats().parked_keys), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_noted_as_passed_over_before_its_dead_letter_is_written() {
    let rig = Rig::start(options(), |delivery| async move {
        if delivery.record().offset == 1 { Outcome::dead_letter("no use") } else { Outcome::Done }
    });
    rig.passed.refusals.lock().extend([(); 3]);
    for _ in 0..3 {
        rig.publish(0, "42");
    }
    rig.until("all are settled", |rig| rig.broker.committed("accounts", 0) == Some(3)).await;
    assert_eq!(rig.handled_of("42"), [0, 2]);
    assert_eq!(rig.letters.written.lock().len(), 1);
    // Once it could be noted; the key waited until then.
    assert_eq!(*rig.passed.noted.lock(), [("Tests", 1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn the_offset_waits_while_it_cannot_be_noted_that_an_event_is_passed_over() {
    let rig = Rig::start(options(), |delivery| async move {
        if delivery.record().offset == 0 { Outcome::dead_letter("no use") } else { Outcome::Done }
    });
    rig.passed.refusals.lock().extend([(); 1_000]);
    rig.publish(0, "42");
    rig.publish(0, "7");
    rig.until("it is asked again and again", |rig| rig.passed.refusals.lock().len() < 990).await;
    assert_eq!(rig.handled_of("7"), [1], "other keys go on");
    assert!(matches!(rig.broker.committed("accounts", 0), None | Some(0)));
    assert_eq!(rig.letters.written.lock().len(), 0);
    rig.passed.refusals.lock().clear();
    rig.until("both are settled", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
}

/// Panics when it is asked for a schema, at once or later.
#[derive(Debug)]
struct Panics {
    at_once: bool,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl SchemaRegistry for Panics {
    async fn schema(&self, id: u32) -> Result<RegisteredSchema, RegistryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.at_once {
            tokio::task::yield_now().await;
        }
        panic!("no schema {id}")
    }

    async fn registration(&self, _: &str, _: &str) -> Result<Registration, RegistryError> {
        panic!("no test asks for it")
    }

    async fn register(&self, _: &str, _: &str) -> Result<Registration, RegistryError> {
        panic!("no test asks for it")
    }

    async fn find(&self, _: &str, _: &str) -> Result<Registration, RegistryError> {
        panic!("no test asks for it")
    }

    async fn latest(&self, _: &str) -> Result<RegisteredSchema, RegistryError> {
        panic!("no test asks for it")
    }

    async fn ping(&self) -> Result<(), RegistryError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_name_cannot_be_found_out_is_given_up_as_any_that_fails() {
    for at_once in [false, true] {
        let asked = Arc::<AtomicU32>::default();
        let codec = Codec::new(Arc::new(Panics { at_once, asked: Arc::clone(&asked) }));
        let mut retry = RetryPolicy::default();
        (retry.max_attempts, retry.max_age) = (3, Duration::from_hours(10));
        let rig = Rig::start_decoding(codec, options().retry(retry), |_| async { Outcome::Done });
        rig.broker.append("accounts", 0, Some(b"42"), Some(&[0, 0, 0, 0, 7, 1]), Headers::new());
        rig.publish(0, "7");
        rig.until("both are settled", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
        let letters = rig.letters.written.lock();
        let headers = &letters[0].headers;
        assert_eq!((headers.get_str(header::ATTEMPTS), headers.get_str(header::CLASS)), (Some("3"), Some("panic")));
        assert!(headers.get_str(header::MESSAGE).unwrap().contains("no schema 7"));
        assert_eq!((asked.load(Ordering::Relaxed), rig.handled_of("7")), (3, vec![1]));
    }
}
