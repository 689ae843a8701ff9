//! Keys that are parked and released, steered as production does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings::consumer::parked::{MemoryParkedStore, ParkRequest};
use tidings::consumer::{Consumer, ConsumerBuilder, ConsumerOptions};
use tidings::dispatch::OnExhausted;
use tidings::prelude::*;
use tidings::testing::TestKit;

use crate::board::{PlayerRenamed, renamed};

/// Parks what comes while it is ill.
#[derive(Clone, Default)]
struct Patient {
    ill: Arc<AtomicBool>,
}

#[dispatcher(source = "players")]
impl Patient {
    #[on("players.PlayerRenamed")]
    async fn on_renamed(&self, _event: PlayerRenamed) -> Outcome {
        if self.ill.load(Ordering::Relaxed) { Outcome::park("not today") } else { Outcome::Done }
    }
}

fn consumer(patient: &Patient) -> ConsumerBuilder {
    let store = Arc::new(MemoryParkedStore::new());
    Consumer::builder(ConsumerOptions::new("patients")).parked_store(store).dispatch(patient.clone())
}

#[tokio::test]
async fn a_parked_key_holds_what_follows_until_it_is_released() {
    let (kit, patient) = (TestKit::in_memory(), Patient::default());
    let member = kit.start(consumer(&patient)).await;
    patient.ill.store(true, Ordering::Relaxed);
    let first = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_parked(&first).await;
    patient.ill.store(false, Ordering::Relaxed);
    let behind = kit.publish(&renamed(1, "Grace")).await;
    let other = kit.publish(&renamed(2, "Edsger")).await;
    kit.assert_parked(&behind).await;
    kit.assert_handled_once(&other).await;
    kit.assert_not_handled(&behind).await;

    let handle = member.handle();
    let parked = handle.parked("patients.Patient").await.unwrap();
    let [key] = &parked[..] else { panic!("{parked:?}") };
    assert_eq!(key.records, 2);
    handle.unpark("patients.Patient", key.partition.clone(), key.key.clone(), ParkRequest::Release).await.unwrap();
    kit.settle().await;
    for event in [&first, &behind, &other] {
        kit.assert_handled_once(event).await;
    }
    assert!(handle.parked("patients.Patient").await.unwrap().is_empty());
}

/// Fails while it is ill, and says nothing of parking: its policy does.
#[derive(Clone, Default)]
struct Ailing {
    ill: Arc<AtomicBool>,
}

#[dispatcher(source = "players", retry(max_attempts = 1))]
impl Ailing {
    #[on("players.PlayerRenamed")]
    async fn on_renamed(&self, _event: PlayerRenamed) -> Result<()> {
        if self.ill.load(Ordering::Relaxed) { Err("not today".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn where_no_store_is_given_a_policy_parks_as_it_does_in_production_and_a_crash_keeps_it() {
    let (kit, ailing) = (TestKit::in_memory(), Ailing::default());
    let consumer = || {
        let options = ConsumerOptions::new("patients").on_exhausted(OnExhausted::ParkKey);
        Consumer::builder(options).dispatch(ailing.clone())
    };
    let member = kit.start(consumer()).await;
    ailing.ill.store(true, Ordering::Relaxed);
    let first = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_parked(&first).await;
    ailing.ill.store(false, Ordering::Relaxed);
    member.crash().await;
    let member = kit.start(consumer()).await;
    let behind = kit.publish(&renamed(1, "Grace")).await;
    kit.assert_parked(&behind).await;

    let handle = member.handle();
    let parked = handle.parked("patients.Ailing").await.unwrap();
    let [key] = &parked[..] else { panic!("{parked:?}") };
    handle.unpark("patients.Ailing", key.partition.clone(), key.key.clone(), ParkRequest::Release).await.unwrap();
    kit.settle().await;
    kit.assert_handled_once(&behind).await;
    assert!(handle.parked("patients.Ailing").await.unwrap().is_empty());
}

#[tokio::test]
#[should_panic(expected = "was to be parked")]
async fn an_event_that_was_handled_is_not_parked() {
    let kit = TestKit::in_memory();
    kit.start(consumer(&Patient::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_parked(&event).await;
}
