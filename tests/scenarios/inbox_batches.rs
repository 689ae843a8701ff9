//! Handlers of batches in one transaction: each of their events takes effect once.

use std::future::Future;

use tidings::database::{Database, Inbox, Transaction};
use tidings::dispatch::{Delivery, FromDeliveries};
use tidings::envelope::header;
use tidings::transport::Record;
use tidings::{ErrorClass, HandlerError, Outcome};

use super::account::Account;
use super::inbox::{
    GROUP, add_effect, assert_class, deliver, delivery_to, effects, event, is_done, note, nth, with_effects,
};
use super::stage::Stage;

/// Deliver `records` to `handler` as one batch; what becomes of each.
async fn deliver_batch<F>(
    database: &Database,
    records: &[Record],
    handler: impl Fn(Transaction, Vec<String>) -> F,
) -> Vec<Outcome>
where
    F: Future<Output = Vec<Outcome>>,
{
    deliver_batch_to(&Inbox::new(database, GROUP), records, handler).await
}

/// As [`deliver_batch`], with an inbox of the test's own.
pub(crate) async fn deliver_batch_to<F>(
    inbox: &Inbox,
    records: &[Record],
    handler: impl Fn(Transaction, Vec<String>) -> F,
) -> Vec<Outcome>
where
    F: Future<Output = Vec<Outcome>>,
{
    let deliveries: Vec<Delivery> = records.iter().map(|record| delivery_to(inbox.clone(), record.clone())).collect();
    let ids = records.iter().map(|record| record.headers.get_str(header::ID).unwrap().to_owned()).collect();
    let outcomes = match Transaction::from_deliveries(&deliveries).await {
        Ok(tx) => handler(tx, ids).await,
        // As a handler's future has it: an error of an extractor is that of every event.
        Err(error) => {
            let class = error.class();
            let text = error.chain();
            records.iter().map(|_| HandlerError::new(class, text.clone()).into()).collect()
        }
    };
    Delivery::complete_all(&deliveries, outcomes).await
}

/// Deliver them to a handler that writes all of them down, and does with each what `of` says.
async fn note_batch(stage: &Stage, records: &[Record], of: impl Fn(&str) -> Outcome) -> Vec<Outcome> {
    deliver_batch(&stage.database, records, async |tx, ids| {
        for id in &ids {
            add_effect(&tx, id).await.unwrap();
        }
        ids.iter().map(|id| of(id)).collect()
    })
    .await
}

pub(crate) fn of_stream(stream: &str, sequence: u64) -> Record {
    let mut record = event(0, sequence, &format!("{stream}-{sequence}"));
    record.headers.push_str(header::SUBJECT, &format!("Account/{stream}"));
    record
}

#[track_caller]
fn assert_all_done(outcomes: &[Outcome]) {
    assert!(outcomes.iter().all(is_done), "{outcomes:?}");
}

pub(crate) async fn a_batch_takes_effect_once_with_each_of_its_events_remembered(stage: &Stage) {
    with_effects(stage).await;
    // Several of one stream, one of another, one without a place in any.
    let batch = [nth(1), nth(2), of_stream("8", 5), event(0, 0, "single"), nth(4)];
    assert_all_done(&note_batch(stage, &batch, |_| Outcome::Done).await);
    assert_eq!(effects(stage).await, ["8-5", "e1", "e2", "e4", "single"]);
    let latest = stage.texts("SELECT event_id FROM tidings_inbox ORDER BY event_id").await;
    assert_eq!(latest, ["8-5", "e4"]);

    // Delivered again, together or one by one, to a handler of batches or of single events.
    assert_all_done(&note_batch(stage, &batch, |_| panic!("the handler does not run again")).await);
    for record in batch {
        assert!(is_done(&note(stage, record).await));
    }
    assert_eq!(effects(stage).await.len(), 5);
}

pub(crate) async fn an_event_that_fails_rolls_its_batch_back_and_nobody_else_has_failed(stage: &Stage) {
    with_effects(stage).await;
    let batch = [nth(1), of_stream("8", 1), of_stream("9", 1)];
    for failure in [|| HandlerError::from("not today").into(), || Outcome::dead_letter("no use")] {
        let outcomes = note_batch(stage, &batch, |id| if id == "8-1" { failure() } else { Outcome::Done }).await;
        assert_class(&outcomes[0], ErrorClass::Unavailable);
        assert_eq!(format!("{:?}", outcomes[1]), format!("{:?}", failure()));
        assert_class(&outcomes[2], ErrorClass::Unavailable);
        assert_eq!(effects(stage).await.len(), 0);
        assert_eq!(stage.texts("SELECT stream FROM tidings_inbox").await.len(), 0);
    }
    // The others, without it.
    assert_all_done(&note_batch(stage, &[nth(1), of_stream("9", 1)], |_| Outcome::Done).await);
    assert_eq!(effects(stage).await, ["9-1", "e1"]);
}

pub(crate) async fn what_was_handled_before_is_taken_out_of_a_batch(stage: &Stage) {
    with_effects(stage).await;
    for sequence in [1, 2] {
        assert!(is_done(&note(stage, nth(sequence)).await));
    }
    // The third comes twice in one batch, as does an event without a sequence.
    let batch = [nth(2), nth(3), event(0, 0, "single"), nth(3), event(0, 0, "single")];
    let outcomes = note_batch(stage, &batch, |_| panic!("not with these")).await;
    let done: Vec<_> = outcomes.iter().map(is_done).collect();
    assert_eq!(done, [true, false, false, true, true]);
    for waits in [&outcomes[1], &outcomes[2]] {
        assert_class(waits, ErrorClass::Unavailable);
    }
    assert_all_done(&note_batch(stage, &[nth(3), event(0, 0, "single")], |_| Outcome::Done).await);
    assert_eq!(effects(stage).await, ["e1", "e2", "e3", "single"]);
}

pub(crate) async fn a_fork_in_a_batch_is_given_up_alone(stage: &Stage) {
    with_effects(stage).await;
    let outcomes = note_batch(stage, &[event(0, 5, "one"), event(0, 5, "another"), of_stream("8", 1)], |_| {
        panic!("not with these")
    })
    .await;
    assert_class(&outcomes[0], ErrorClass::Unavailable);
    assert_class(&outcomes[1], ErrorClass::Forked);
    assert_class(&outcomes[2], ErrorClass::Unavailable);
    assert_all_done(&note_batch(stage, &[event(0, 5, "one"), of_stream("8", 1)], |_| Outcome::Done).await);
    assert_eq!(effects(stage).await, ["8-1", "one"]);
}

pub(crate) async fn a_passed_over_event_is_handled_once_in_a_batch(stage: &Stage) {
    with_effects(stage).await;
    Inbox::new(&stage.database, GROUP).pass_over("Board", &nth(5)).await.unwrap();
    assert!(is_done(&note(stage, nth(6)).await));
    let twice = note_batch(stage, &[nth(5), nth(5), nth(7)], |_| panic!("not with these")).await;
    assert!(is_done(&twice[1]), "{twice:?}");
    assert_all_done(&note_batch(stage, &[nth(5), nth(7)], |_| Outcome::Done).await);
    assert_all_done(&note_batch(stage, &[nth(5), nth(7)], |_| Outcome::Done).await);
    assert_eq!(effects(stage).await, ["e5", "e6", "e7"]);
    assert_eq!(stage.texts("SELECT event_id FROM tidings_inbox_hole").await.len(), 0);
}

pub(crate) async fn a_batch_whose_commit_fails_leaves_nothing_behind(stage: &Stage) {
    with_effects(stage).await;
    stage.execute("INSERT INTO account (id, nickname, version) VALUES ('7', 'Kim', 1)").await;
    let save = async |version_is_known: bool| {
        deliver_batch(&stage.database, &[nth(1), of_stream("8", 1)], async |tx, ids| {
            add_effect(&tx, "saved").await.unwrap();
            if version_is_known {
                let _: Option<Account> = tx.load("7").await.unwrap();
            }
            // Without having read it, it would be created anew.
            tx.save(&Account::new("7", "Lou"));
            ids.iter().map(|_| Outcome::Done).collect()
        })
        .await
    };
    for outcome in save(false).await {
        assert_class(&outcome, ErrorClass::Retryable);
    }
    assert_eq!(effects(stage).await.len(), 0);
    assert_eq!(stage.texts("SELECT stream FROM tidings_inbox").await.len(), 0);
    assert_all_done(&save(true).await);
    assert_eq!(stage.texts("SELECT nickname FROM account").await, ["Lou"]);
    assert_all_done(&save(true).await);
    assert_eq!(effects(stage).await, ["saved"]);
}

/// One of two processes has lost its partition and does not know it yet.
pub(crate) async fn a_batch_waits_for_another_process_that_handles_one_of_its_streams(stage: &Stage) {
    with_effects(stage).await;
    let elsewhere = stage.elsewhere().await;
    assert!(is_done(&note(stage, of_stream("8", 1)).await));
    let batch = [nth(1), of_stream("8", 2)];
    let other = deliver(&elsewhere, of_stream("8", 2), async |tx| {
        add_effect(&tx, "8-2").await.unwrap();
        if stage.database.kind() == "MySQL" {
            for outcome in note_batch(stage, &batch, |_| panic!("one of its streams is locked")).await {
                assert_class(&outcome, ErrorClass::Unavailable);
            }
        }
        Outcome::Done
    });
    assert!(is_done(&other.await));
    let outcomes = note_batch(stage, &batch, |_| panic!("not with a repeat")).await;
    assert!(is_done(&outcomes[1]), "{outcomes:?}");
    assert_all_done(&note_batch(stage, &batch[..1], |_| Outcome::Done).await);
    assert_eq!(effects(stage).await, ["8-1", "8-2", "e1"]);
    elsewhere.close().await;
}
