//! What becomes of rows between a read and their deletion.

use super::*;
use crate::transport::memory::MemoryProducer;

fn pipeline(rows: u64) -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.push((1..=rows).map(|id| OutboxRow::example(id, "Account/42", id)).collect());
    pipeline
}

#[tokio::test]
async fn a_row_stays_known_until_it_is_deleted() {
    let producer: Arc<dyn Producer> = Arc::new(MemoryProducer::new(1));
    let mut pipeline = pipeline(2);
    for _ in 0..2 {
        pipeline.send(&producer, 10).unwrap();
        let Sent { row, result } = pipeline.next().await;
        assert!(result.is_ok());
        pipeline.acknowledged(row);
    }
    let rows = pipeline.take_acknowledged();
    assert_eq!((rows.len(), pipeline.rows(), pipeline.bytes(), pipeline.in_flight()), (2, 2, 0, 0));
    pipeline.not_deleted(rows);
    let rows = pipeline.take_acknowledged();
    pipeline.deleted(&rows);
    assert!(!pipeline.has_any() && !pipeline.has_any_of(0));
}

#[tokio::test]
async fn a_full_queue_keeps_the_order() {
    let memory = MemoryProducer::new(1).queue_records(2);
    memory.hold();
    let producer: Arc<dyn Producer> = Arc::new(memory.clone());
    let mut pipeline = pipeline(6);
    pipeline.send(&producer, 10).unwrap();
    memory.release_next(1);
    let Sent { row, .. } = pipeline.next().await;
    pipeline.acknowledged(row);
    pipeline.send(&producer, 10).unwrap();
    assert_eq!(pipeline.in_flight(), 2);
    memory.release();
    for expected in 2..=6 {
        let Sent { row, .. } = pipeline.next().await;
        assert_eq!(row.id, expected);
        pipeline.acknowledged(row);
        pipeline.send(&producer, 10).unwrap();
    }
}

#[tokio::test]
async fn what_is_queued_behind_a_refused_row_of_its_stream_follows_it_and_nothing_else_does() {
    let mut pipeline = pipeline(3);
    pipeline.push(vec![OutboxRow::example(9, "Account/7", 1)]);
    pipeline.refused(RowId { bucket: 0, id: 2 }, "too large".to_owned());
    let refused: Vec<_> =
        pipeline.first_refused().into_iter().map(|refused| (refused.row.id, refused.reason)).collect();
    assert_eq!(refused, [(2, Some("too large".to_owned())), (3, None)]);
    assert!(pipeline.holds(&OutboxRow::example(4, "Account/42", 4)));
    assert!(!pipeline.holds(&OutboxRow::example(1, "Account/42", 1)), "what was put back before it goes");
    assert!(!pipeline.holds(&OutboxRow::example(9, "Account/7", 1)));

    pipeline.parked(&[RowId { bucket: 0, id: 2 }, RowId { bucket: 0, id: 3 }]);
    assert!(pipeline.holds(&OutboxRow::example(4, "Account/42", 4)), "a read under way may not show that it is parked");
    pipeline.read_anew();
    assert!(!pipeline.holds(&OutboxRow::example(4, "Account/42", 4)));
    assert_eq!(pipeline.rows(), 2);
}

#[test]
fn a_row_that_waits_to_be_parked_holds_back_what_comes_behind_it_even_if_its_stream_is_released_meanwhile() {
    let mut pipeline = Pipeline::new();
    let mut held = OutboxRow::example(3, "Account/42", 3);
    held.held = true;
    assert!(pipeline.holds(&held));
    pipeline.follow(&held);
    // By now nothing of the stream is parked any more, and a read leaves out what is known here.
    let next = OutboxRow::example(4, "Account/42", 4);
    assert!(pipeline.holds(&next));
    pipeline.follow(&next);
    // It was not parked, and is read again, before what still waits.
    pipeline.parked(&[held.id]);
    pipeline.read_anew();
    assert!(!pipeline.holds(&OutboxRow::example(3, "Account/42", 3)));
    assert!(pipeline.holds(&OutboxRow::example(5, "Account/42", 5)));
    pipeline.parked(&[next.id]);
    pipeline.read_anew();
    assert!(!pipeline.holds(&OutboxRow::example(5, "Account/42", 5)));
}

#[tokio::test]
async fn what_is_abandoned_is_forgotten_and_what_was_acknowledged_is_not() {
    let memory = MemoryProducer::new(1);
    memory.hold();
    let producer: Arc<dyn Producer> = Arc::new(memory.clone());
    let mut pipeline = pipeline(3);
    pipeline.send(&producer, 2).unwrap();
    memory.release_next(1);
    let Sent { row, .. } = pipeline.next().await;
    pipeline.acknowledged(row);
    pipeline.send(&producer, 1).unwrap();
    pipeline.abandon();
    assert_eq!((pipeline.rows(), pipeline.bytes(), pipeline.in_flight()), (1, 0, 0));
    assert_eq!(pipeline.take_acknowledged(), [row]);
}

#[tokio::test]
async fn the_first_row_of_a_destination_goes_alone_and_holds_up_no_other_destination() {
    let memory = MemoryProducer::new(1);
    memory.hold();
    let producer: Arc<dyn Producer> = Arc::new(memory.clone());
    let mut pipeline = pipeline(3);
    let mut other = OutboxRow::example(9, "Player/7", 1);
    other.topic = "players".into();
    pipeline.push(vec![other]);
    pipeline.send(&producer, 10).unwrap();
    assert_eq!((pipeline.in_flight(), pipeline.rows()), (2, 4));
    memory.release();
    let Sent { row, .. } = pipeline.next().await;
    pipeline.acknowledged(row);
    pipeline.send(&producer, 10).unwrap();
    assert_eq!(pipeline.in_flight(), 3, "the other two, and the other destination's");
    let sent: Vec<u64> = memory.written().iter().filter(|record| &*record.topic == "accounts").map(sequence).collect();
    assert_eq!(sent, [1, 2, 3]);
}

#[tokio::test]
async fn what_goes_to_a_destination_that_takes_nothing_is_let_go_of_and_the_rest_stays() {
    let memory = MemoryProducer::new(1);
    memory.fail_next(1, |record| ProduceError::UnknownTopic { topic: Arc::clone(&record.topic) });
    let producer: Arc<dyn Producer> = Arc::new(memory.clone());
    let mut pipeline = pipeline(3);
    let mut other = OutboxRow::example(9, "Player/7", 1);
    other.topic = "players".into();
    pipeline.push(vec![other]);
    pipeline.send(&producer, 10).unwrap();
    let Sent { row, result } = pipeline.next().await;
    assert!(matches!(result, Err(ProduceError::UnknownTopic { .. })));
    let destination = pipeline.destination(row).unwrap();
    assert!(!pipeline.is_proven(&destination) && pipeline.goes_to(&destination));
    let gone: Vec<u64> = pipeline.let_go(row, &destination).iter().map(|(row, _)| row.id).collect();
    assert_eq!((gone, pipeline.rows(), pipeline.goes_to(&destination)), (vec![1, 2, 3], 1, false));
}

fn sequence(record: &crate::transport::Record) -> u64 {
    crate::envelope::EnvelopeView::new(&record.headers).sequence().unwrap()
}
