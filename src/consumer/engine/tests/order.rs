//! Order: within a key always, between keys never.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::rig::{EVENT, Rig, TOPIC, key_of, options};
use crate::causality::Causality;
use crate::envelope::header;
use crate::outcome::{HandlerError, Outcome};
use crate::transport::Headers;

#[tokio::test(start_paused = true)]
async fn a_slow_key_delays_no_other_key() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let rig = Rig::start(options(), move |delivery| {
        let held = Arc::clone(&held);
        async move {
            if key_of(&delivery) == "slow" {
                held.acquire().await.unwrap().forget();
            }
            Outcome::Done
        }
    });
    for _ in 0..3 {
        rig.publish(0, "slow");
        rig.publish(0, "quick");
    }
    rig.until("the quick key is done", |rig| rig.handled_of("quick") == [1, 3, 5]).await;
    assert!(rig.handled_of("slow").is_empty());
    assert_eq!(rig.broker.committed("accounts", 0), None);
    gate.add_permits(3);
    rig.until("all is committed", |rig| rig.broker.committed("accounts", 0) == Some(6)).await;
    assert_eq!(rig.handled_of("slow"), [0, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn events_without_a_key_wait_for_nobody() {
    let rig = Rig::start(options(), |delivery| async move {
        if delivery.record().offset == 0 {
            std::future::pending::<()>().await;
        }
        Outcome::Done
    });
    rig.publish(0, "");
    rig.publish(0, "");
    rig.until("the second is done", |rig| rig.handled.lock().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn events_without_a_key_that_an_inbox_remembers_by_their_place_come_one_after_the_other() {
    let gate = Arc::new(Semaphore::new(0));
    let (held, begun) = (Arc::clone(&gate), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&begun);
    let rig = Rig::start(options(), move |delivery| {
        let (held, noted) = (Arc::clone(&held), Arc::clone(&noted));
        async move {
            noted.lock().push(delivery.record().offset);
            held.acquire().await.unwrap().forget();
            Outcome::Done
        }
    });
    for (sequence, event) in [("1", Some(EVENT)), ("2", None), ("3", Some(EVENT))] {
        let mut headers = Headers::new();
        // Also one that names no event: it is remembered as passed over.
        if let Some(event) = event {
            headers.push_str(header::TYPE, event);
        }
        headers.push_str(header::SUBJECT, "Account/1");
        headers.push_str(header::SEQUENCE, sequence);
        rig.broker.append(TOPIC, 0, None, Some(b"payload"), headers);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((begun.lock().as_slice(), rig.stats().dead_lettered), (&[0][..], 0));
    gate.add_permits(3);
    rig.until("all are done", |rig| rig.handled.lock().len() == 2).await;
    assert_eq!((begun.lock().as_slice(), rig.stats().dead_lettered), (&[0, 2][..], 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_publishes_is_caused_by_what_it_handles() {
    let seen = Arc::new(Mutex::new(Causality::default()));
    let slot = Arc::clone(&seen);
    let rig = Rig::start(options(), move |_| {
        let slot = Arc::clone(&slot);
        async move {
            // Also behind an await, when the handler has moved into a task.
            tokio::time::sleep(Duration::from_millis(5)).await;
            *slot.lock() = Causality::current();
            Outcome::Done
        }
    });
    rig.publish(0, "42");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    assert_eq!(seen.lock().causation_id.as_deref(), Some("0-42"));
    assert_eq!(seen.lock().correlation_id.as_deref(), Some("0-42"));
}

/// How a handler behaves for one event: milliseconds it takes, and attempts that fail before it succeeds.
type Behaviour = (u64, u32);

fn run_model(events: &[(u8, Behaviour)], in_flight: usize) -> (Vec<(String, i64)>, Option<i64>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let behaviours: Vec<Behaviour> = events.iter().map(|(_, behaviour)| *behaviour).collect();
        let rig = Rig::start(options().max_in_flight(in_flight), move |delivery| {
            let (millis, failures) = behaviours[usize::try_from(delivery.record().offset).unwrap()];
            async move {
                if millis > 0 {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
                if delivery.attempt() <= failures { HandlerError::from("not yet").into() } else { Outcome::Done }
            }
        });
        for (key, _) in events {
            rig.publish(0, &key.to_string());
        }
        let count = events.len();
        rig.until("all is handled", |rig| rig.handled.lock().len() >= count).await;
        rig.until("all is committed", |rig| rig.broker.committed("accounts", 0) == Some(i64::try_from(count).unwrap()))
            .await;
        (rig.handled.lock().clone(), rig.broker.committed("accounts", 0), rig.stats().buffered_bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_event_is_handled_once_and_each_key_in_order(
        events in proptest::collection::vec((0_u8..6, (0_u64..20, 0_u32..4)), 1..60),
        in_flight in 1_usize..8,
    ) {
        let count = events.len();
        let (handled, committed, buffered) = run_model(&events, in_flight);
        prop_assert_eq!(handled.len(), count);
        prop_assert_eq!(committed, Some(i64::try_from(count).unwrap()));
        prop_assert_eq!(buffered, 0);
        let mut last = BTreeMap::new();
        for (key, offset) in handled {
            let previous = last.insert(key, offset);
            prop_assert!(previous.is_none_or(|previous| previous < offset));
        }
    }
}
