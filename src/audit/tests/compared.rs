//! What the origin of the events says is compared with the topic.

use super::*;
use crate::audit::origin::{Claim, Unpublished};

fn claim(stream: u32, epoch: u32, sequence: u64) -> Claim {
    Claim { stream: format!("Account/{stream}"), epoch, sequence, from_one: true }
}

fn unpublished(stream: u32, sequence: u64, is_parked: bool) -> Unpublished {
    Unpublished { stream: format!("Account/{stream}"), epoch: 0, sequence, is_parked }
}

/// `[missing, waiting, parked, unknown]`, when `meanwhile` is published after the origin was asked.
fn compared(mut reader: Reader, claims: &[Claim], on_the_way: &[Unpublished], meanwhile: &[Line]) -> [u64; 4] {
    let mut comparison = Comparison::default();
    for one in claims {
        assert!(comparison.claim(&reader.streams, &reader.log, one.clone()));
    }
    for event in on_the_way {
        comparison.on_the_way(&reader.streams, &reader.log, event);
    }
    reader.read(meanwhile);
    let mut report = AuditReport::default();
    comparison.settle(&reader.streams, &reader.log, &mut report);
    comparison.tell_flaws(&reader.streams, &reader.log, &mut report);
    let totals = report.totals;
    [totals.missing, totals.waiting, totals.parked, totals.unknown]
}

fn read(lines: &[Line]) -> Reader {
    let mut reader = Reader::from(0);
    reader.read(lines);
    reader
}

#[test]
fn the_end_of_a_stream_that_never_came_is_missing() {
    assert_eq!(compared(read(&sequences(&[1, 2])), &[claim(1, 0, 2)], &[], &[]), [0, 0, 0, 0]);
    assert_eq!(compared(read(&sequences(&[1, 2])), &[claim(1, 0, 5)], &[], &[]), [3, 0, 0, 0]);
    assert_eq!(compared(read(&[]), &[claim(1, 0, 4)], &[], &[]), [4, 0, 0, 0], "a whole stream");
}

#[test]
fn a_stream_that_is_left_for_a_later_pass_while_the_topic_is_read_on_is_not_missing() {
    let mut reader = read(&(0..200).map(|stream| Line::new(stream, 1)).collect::<Vec<_>>());
    let mut comparison = Comparison::default();
    for stream in 0..200 {
        comparison.claim(&reader.streams, &reader.log, claim(stream, 0, 2));
    }
    reader.read(&(0..200).map(|stream| Line::new(stream, 2)).collect::<Vec<_>>());
    reader.streams.narrow().unwrap();
    let mut report = AuditReport::default();
    comparison.settle(&reader.streams, &reader.log, &mut report);
    assert_eq!(counts(&report), [0, 0, 0, 0]);
}

#[test]
fn what_waits_or_is_parked_in_the_outbox_is_told_apart() {
    let on_the_way = [unpublished(1, 4, false), unpublished(1, 5, false)];
    assert_eq!(compared(read(&sequences(&[1, 2, 3])), &[claim(1, 0, 5)], &on_the_way, &[]), [0, 2, 0, 0]);
    // One is in neither place.
    assert_eq!(compared(read(&sequences(&[1, 2])), &[claim(1, 0, 5)], &on_the_way, &[]), [1, 2, 0, 0]);
    // A parked one, whose successors went on.
    let parked = [unpublished(1, 2, true)];
    assert_eq!(compared(read(&sequences(&[1, 3])), &[claim(1, 0, 3)], &parked, &[]), [0, 0, 1, 0]);
    assert_eq!(compared(read(&sequences(&[1, 3])), &[claim(1, 0, 3)], &[], &[]), [1, 0, 0, 0], "the control");
}

#[test]
fn what_is_published_while_the_audit_looks_is_not_missing() {
    let meanwhile = sequences(&[3, 4, 5, 6]);
    // It was committed, was not in the outbox any more, and came behind the end that was read.
    assert_eq!(compared(read(&sequences(&[1, 2])), &[claim(1, 0, 5)], &[], &meanwhile), [0, 0, 0, 0]);
    assert_eq!(compared(read(&sequences(&[1, 2])), &[claim(1, 0, 5)], &[], &meanwhile[1..]), [1, 0, 0, 0]);
    // It was in the outbox, and then came: no matter.
    let waits = [unpublished(1, 3, false)];
    assert_eq!(compared(read(&sequences(&[1, 2])), &[claim(1, 0, 5)], &waits, &meanwhile), [0, 0, 0, 0]);
}

#[test]
fn a_database_that_knows_less_than_the_topic_is_an_older_copy() {
    assert_eq!(compared(read(&sequences(&[1, 2, 3])), &[claim(1, 0, 1)], &[], &[]), [0, 0, 0, 2]);
    let newer = Line { epoch: 1, ..Line::new(1, 4) };
    assert_eq!(compared(read(&[newer]), &[claim(1, 0, 3)], &[], &[])[3], 1);
    // After the new epoch was begun it is as it should be.
    assert_eq!(compared(read(&sequences(&[1, 2, 3])), &[claim(1, 1, 0)], &[], &[]), [0, 0, 0, 0]);
}

#[test]
fn the_events_of_a_new_epoch_that_never_came_are_missing() {
    let before = || read(&sequences(&[1, 2, 3]));
    assert_eq!(compared(before(), &[claim(1, 7, 2)], &[], &[]), [2, 0, 0, 0]);
    let waits = Unpublished { epoch: 7, ..unpublished(1, 2, false) };
    assert_eq!(compared(before(), &[claim(1, 7, 2)], &[waits], &[]), [1, 1, 0, 0]);
    let came = [1, 2].map(|sequence| Line { epoch: 7, ..Line::new(1, sequence) });
    assert_eq!(compared(before(), &[claim(1, 7, 2)], &[], &came), [0, 0, 0, 0]);
    assert_eq!(compared(read(&[]), &[claim(1, 7, 2)], &[], &[]), [2, 0, 0, 0], "a whole stream, begun after a restore");
}

#[test]
fn a_store_that_goes_on_in_a_new_epoch_has_given_out_nothing_in_it_yet() {
    let goes_on = Claim { from_one: false, ..claim(1, 7, 3) };
    assert_eq!(compared(read(&sequences(&[1, 2, 3])), std::slice::from_ref(&goes_on), &[], &[]), [0, 0, 0, 0]);
    assert_eq!(compared(read(&[]), &[goes_on], &[], &[]), [1, 0, 0, 0], "it was never there at all");
}

#[test]
fn a_stream_that_retention_may_have_deleted_is_not_missed() {
    let deleted = Reader::from(100);
    assert_eq!(compared(deleted, &[claim(1, 0, 4)], &[], &[]), [0, 0, 0, 0]);
}
