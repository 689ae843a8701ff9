//! Keys that are released while their partition is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::parking::{PARK, ask, id, until_committed};
use super::rig::{Rig, TOPIC, options};
use crate::consumer::commands::{Command, Selection};
use crate::consumer::parked::{ParkRequest, ParkedStore as _};
use crate::outcome::Outcome;

/// As many keys as are unparked at once, with `rounds` events each in the first partition, and one more in the second; all parked.
/// Once mended, each event takes a while.
async fn parked_in_both(rounds: i64) -> Rig {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let rig = Rig::start_with(options(), PARK, None, move |_| {
        let mended = is_mended.load(Ordering::Relaxed);
        async move {
            if !mended {
                return Outcome::park("away");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            Outcome::Done
        }
    });
    for _ in 0..rounds {
        for key in 0..16 {
            rig.publish(0, &key.to_string());
        }
    }
    rig.publish(1, "other");
    until_committed(&rig, 16 * rounds).await;
    rig.until("both have some", |rig| rig.stats().parked_keys == 17).await;
    mended.store(true, Ordering::Relaxed);
    rig
}

fn first() -> Selection {
    Selection { topic: Some(TOPIC.into()), partition: Some(0) }
}

async fn release_first(rig: &Rig) {
    for key in 0..16 {
        ask(rig, &key.to_string(), ParkRequest::Release).await;
    }
}

async fn release_other(rig: &Rig) {
    assert!(rig.parked.request(id(1, "other"), Some(ParkRequest::Release)).await.unwrap());
    rig.commands.send(Command::LookAtParked);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if rig.handled_of("other") == [0] {
            return;
        }
    }
    panic!("it waits for the paused partition");
}

#[tokio::test(start_paused = true)]
async fn keys_released_in_a_paused_partition_keep_no_others_waiting() {
    let rig = parked_in_both(1).await;
    rig.commands.send(Command::Pause(first()));
    release_first(&rig).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    release_other(&rig).await;
    assert_eq!((rig.stats().parked_keys, rig.stats().buffered_bytes), (16, 0));
    rig.commands.send(Command::Resume(first()));
    rig.until("all keys are free", |rig| rig.stats().parked_keys == 0).await;
}

#[tokio::test(start_paused = true)]
async fn keys_whose_partition_is_paused_while_they_are_released_go_on_later_and_keep_no_others_waiting() {
    let rig = parked_in_both(3).await;
    release_first(&rig).await;
    rig.until("they run", |rig| rig.stats().in_flight == 16).await;
    rig.commands.send(Command::Pause(first()));
    // These come meanwhile, and stay behind.
    for key in 0..16 {
        rig.publish(0, &key.to_string());
    }
    release_other(&rig).await;
    assert_eq!((rig.handled_of("7"), rig.stats().parked_keys), (vec![7], 16));
    rig.commands.send(Command::Resume(first()));
    rig.until("all keys are free", |rig| rig.stats().parked_keys == 0).await;
    until_committed(&rig, 64).await;
    for key in 0..16 {
        assert_eq!(rig.handled_of(&key.to_string()), [key, 16 + key, 32 + key, 48 + key]);
    }
    assert_eq!(rig.stats().buffered_bytes, 0);
}
