//! The checks themselves: what is planted is found, by the ledger and by the auditor.

use std::panic::AssertUnwindSafe;

use super::press::{Press, Proof, post_many};
use crate::reader::read;
use crate::servers::Servers;
use crate::setting;

/// Publish, after `plant` has changed what is in the outbox, and again what `again` says was published.
async fn planted(plant: &str, again: Option<&str>) -> Proof {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let database = press.database();
    for _ in 0..3 {
        for player in 0..5 {
            post_many(&database, player, 2).await.unwrap();
        }
    }
    if !plant.is_empty() {
        press.execute(plant).await;
    }
    press.drain().await;
    if let Some(stream) = again {
        let records = read(&setting("TIDINGS_TEST_BROKERS"), &press.scene.topic(), press.scene.partitions(), 30);
        let record = records.iter().find(|record| record.text_headers()["ce_subject"] == stream).unwrap();
        let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        press.scene.write(record.key.as_deref(), record.payload.as_deref(), &headers).await;
    }
    press.proof("the control").await
}

fn fails(proof: &Proof) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failed = std::panic::catch_unwind(AssertUnwindSafe(|| proof.assert_sound())).is_err();
    std::panic::set_hook(hook);
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_holds_where_nothing_is_planted() {
    planted("", None).await.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_loss_is_found_by_the_ledger_and_by_the_auditor() {
    // In the middle of a stream, and at the end of another one.
    let lost = "DELETE FROM tidings_outbox WHERE (stream = 'Player/2' AND sequence + 0 = 3) \
                OR (stream = 'Player/4' AND sequence + 0 = 6)";
    let proof = planted(lost, None).await;
    assert_eq!((proof.ledger.lost, proof.auditor.totals.missing), (2, 2), "{proof:?}");
    assert!(fails(&proof));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_repeat_is_counted_by_the_ledger_and_by_the_auditor() {
    let proof = planted("", Some("Player/1")).await;
    assert_eq!((proof.ledger.repeated, proof.auditor.totals.repeated), (1, 1), "{proof:?}");
    proof.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_swap_is_found_by_the_ledger_and_by_the_auditor() {
    // Two rows of different streams that both go their way, but under each other's names: one stream has a sequence twice,
    // the other lacks one.
    let swapped = "UPDATE tidings_outbox SET stream = 'Player/1', partition_key = '1', \
                   bucket = (SELECT bucket FROM (SELECT MIN(bucket) bucket FROM tidings_outbox WHERE stream = 'Player/1') other) \
                   WHERE stream = 'Player/3' AND sequence + 0 = 4";
    let proof = planted(swapped, None).await;
    assert!(proof.unrecognised == 1 && proof.ledger.lost == 1, "{proof:?}");
    assert!(fails(&proof));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_published_behind_its_successor_is_found_by_the_ledger_and_by_the_auditor() {
    // It leaves the outbox before the relay comes, and returns once its successors are published.
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    post_many(&press.database(), 1, 5).await.unwrap();
    press.execute("CREATE TABLE aside AS SELECT * FROM tidings_outbox WHERE sequence + 0 = 3").await;
    press.execute("DELETE FROM tidings_outbox WHERE sequence + 0 = 3").await;
    press.drain().await;
    press.execute("INSERT INTO tidings_outbox SELECT * FROM aside").await;
    press.drain().await;
    let proof = press.proof("a planted swap").await;
    assert_eq!((proof.ledger.out_of_order, proof.auditor.totals.out_of_order), (1, 1), "{proof:?}");
    assert!(fails(&proof));
}
