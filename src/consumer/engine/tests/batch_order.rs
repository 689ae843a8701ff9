//! Batches keep each key's order, whatever fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::batches::failed;
use super::rig::{Rig, TOPIC, key_of, options};
use crate::dispatch::{BatchPolicy, Delivery, Policy};
use crate::outcome::Outcome;

/// Of one event: its key, how long its batch takes in milliseconds, and how often it fails.
type Behaviour = (u8, u64, u32);

/// What a batch handler was given and said, in order: batch, key, offset, and whether it was done.
type Said = Vec<(usize, String, i64, bool)>;

fn run_model(events: &[Behaviour], max: u32, in_flight: usize, concurrency: u32) -> (Said, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let behaviours = events.to_vec();
        let said = Arc::new(Mutex::new(Said::new()));
        let (log, limit) = (Arc::clone(&said), max as usize);
        let policy = Policy::INHERIT.max_attempts(20).breaker_keys(0).concurrency(concurrency);
        let batch = BatchPolicy::new(max, Duration::from_millis(5));
        let rig = Rig::start_batches(options().max_in_flight(in_flight), policy, batch, move |deliveries| {
            let of = |delivery: &Delivery| behaviours[usize::try_from(delivery.record().offset).unwrap()];
            let millis = deliveries.iter().map(|delivery| of(delivery).1).max().unwrap();
            let done: Vec<_> = deliveries.iter().map(|delivery| delivery.attempt() > of(delivery).2).collect();
            let log = Arc::clone(&log);
            async move {
                assert!(!deliveries.is_empty() && deliveries.len() <= limit, "{}", deliveries.len());
                tokio::time::sleep(Duration::from_millis(millis)).await;
                let mut log = log.lock();
                let batch = log.last().map_or(0, |(batch, ..)| batch + 1);
                let one =
                    |(delivery, done): (&Delivery, &bool)| (batch, key_of(delivery), delivery.record().offset, *done);
                log.extend(deliveries.iter().zip(&done).map(one));
                drop(log);
                done.into_iter().map(|done| if done { Outcome::Done } else { failed() }).collect()
            }
        });
        for (key, ..) in events {
            rig.publish(0, &key.to_string());
        }
        let count = i64::try_from(events.len()).unwrap();
        rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(count)).await;
        assert_eq!(rig.stats().handled, events.len() as u64);
        (std::mem::take(&mut *said.lock()), rig.stats().buffered_bytes)
    })
}

/// Whether each key's events came in order: they go on behind the last one, and after a batch in which one was not done they
/// begin again with the first such one; in the end all are done.
fn in_order(said: &Said) -> Result<(), String> {
    let mut keys: BTreeMap<&str, Vec<(usize, i64, bool)>> = BTreeMap::new();
    for (batch, key, offset, done) in said {
        keys.entry(key).or_default().push((*batch, *offset, *done));
    }
    for (key, said) in keys {
        let mut offsets: Vec<_> = said.iter().map(|(_, offset, _)| *offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let (mut next, mut failure, mut current) = (0, None, 0);
        for (batch, offset, done) in said {
            if batch != current {
                (next, current) = (failure.take().unwrap_or(next), batch);
            }
            if offsets[next..].first() != Some(&offset) {
                return Err(format!("key {key}: offset {offset} came out of turn in batch {batch}"));
            }
            if !done && failure.is_none() {
                failure = Some(next);
            }
            next += 1;
        }
        if next != offsets.len() || failure.is_some() {
            return Err(format!("key {key}: not all is done"));
        }
    }
    Ok(())
}

#[test]
fn the_check_of_the_order_notices_a_swap_a_gap_and_a_failure_that_is_passed() {
    let said = |events: &[(usize, i64, bool)]| {
        events.iter().map(|(batch, offset, done)| (*batch, "a".to_owned(), *offset, *done)).collect()
    };
    in_order(&said(&[(0, 0, true), (0, 1, false), (0, 2, true), (1, 1, true), (2, 2, true)])).unwrap();
    for wrong in [
        vec![(0, 1, true), (0, 0, true)],
        vec![(0, 0, true), (1, 2, true), (2, 1, true)],
        vec![(0, 0, false), (1, 1, true)],
        vec![(0, 0, false), (0, 1, true)],
        vec![(0, 0, false), (0, 1, true), (1, 1, true), (2, 0, true)],
    ] {
        in_order(&said(&wrong)).unwrap_err();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn batches_keep_each_keys_order_whatever_fails(
        events in proptest::collection::vec((0_u8..6, 0_u64..20, prop_oneof![3 => Just(0_u32), 1 => 1_u32..4]), 1..80),
        max in 1_u32..12,
        in_flight in 1_usize..4,
        concurrency in 1_u32..4,
    ) {
        let (said, buffered) = run_model(&events, max, in_flight, concurrency);
        prop_assert_eq!(in_order(&said), Ok(()));
        prop_assert_eq!(buffered, 0);
    }
}
