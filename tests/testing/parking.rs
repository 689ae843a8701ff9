//! Keys that are parked and released, steered as production does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings::consumer::parked::{MemoryParkedStore, ParkRequest};
use tidings::consumer::{Consumer, ConsumerBuilder, ConsumerOptions};
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

#[tokio::test]
#[should_panic(expected = "was to be parked")]
async fn an_event_that_was_handled_is_not_parked() {
    let kit = TestKit::in_memory();
    kit.start(consumer(&Patient::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_parked(&event).await;
}
