//! What operators ask of parked keys where the store fails meanwhile, or they change their minds.

use std::time::Duration;

use super::parking::{Broken, ask, id, parked, start, until_committed};
use super::rig::{Rig, options};
use crate::consumer::parked::{ParkRequest, ParkedStore as _};

/// Three events of a key that are parked, and would be handled by now.
async fn parked_three() -> Rig {
    let broken = Broken::at(&[0]);
    let rig = start(options(), &broken);
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 3).await;
    broken.mend(0);
    rig
}

#[tokio::test(start_paused = true)]
async fn a_skip_whose_answer_is_lost_skips_its_event_all_the_same() {
    let rig = parked_three().await;
    ask(&rig, "bad", ParkRequest::Skip).await;
    rig.parked.lose_answer("ask about");
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert!(rig.parked.answers_all());
    assert_eq!(rig.handled_of("bad"), [1, 2]);
    assert!(rig.parked.keys("tests.Tests".into(), Vec::new()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_withdrawn_while_the_store_fails_changes_nothing() {
    for (request, failing) in
        [(ParkRequest::Skip, "read"), (ParkRequest::Skip, "ask about"), (ParkRequest::Discard, "remove")]
    {
        let rig = parked_three().await;
        ask(&rig, "bad", request).await;
        rig.parked.fail_each(&[failing]);
        rig.until("it has failed", |rig| rig.parked.pending_failures() == 0).await;
        assert!(rig.parked.request(id(0, "bad"), None).await.unwrap());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(
            (parked(&rig, "bad").await, rig.handled_of("bad")),
            (vec![0, 1, 2], vec![]),
            "{request:?}, {failing}"
        );
        // What comes meanwhile waits behind the others, and what is asked later is done.
        rig.publish(0, "bad");
        until_committed(&rig, 4).await;
        ask(&rig, "bad", ParkRequest::Release).await;
        rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
        assert_eq!(rig.handled_of("bad"), [0, 1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_instead_while_the_store_fails_is_done_instead() {
    let cases = [
        (ParkRequest::Skip, "read", ParkRequest::Release, vec![0, 1, 2]),
        (ParkRequest::Skip, "read", ParkRequest::Discard, vec![]),
        (ParkRequest::Skip, "ask about", ParkRequest::Discard, vec![]),
        (ParkRequest::Discard, "remove", ParkRequest::Skip, vec![1, 2]),
        (ParkRequest::Discard, "remove", ParkRequest::Release, vec![0, 1, 2]),
    ];
    for (request, failing, instead, handled) in cases {
        let rig = parked_three().await;
        ask(&rig, "bad", request).await;
        rig.parked.fail_each(&[failing]);
        rig.until("it has failed", |rig| rig.parked.pending_failures() == 0).await;
        ask(&rig, "bad", instead).await;
        rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
        assert_eq!(rig.handled_of("bad"), handled, "{request:?}, {failing}, {instead:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_skip_asked_for_again_after_somebody_else_did_the_first_one_skips_the_next_event() {
    let rig = parked_three().await;
    ask(&rig, "bad", ParkRequest::Skip).await;
    rig.parked.fail_each(&["ask about"]);
    rig.until("it has failed", |rig| rig.parked.pending_failures() == 0).await;
    rig.parked.remove(id(0, "bad"), 0).await.unwrap();
    ask(&rig, "bad", ParkRequest::Skip).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("bad"), [2]);
}
