//! What is planted in whole streams is found.

use proptest::prelude::*;

use super::*;
use crate::audit::{SequenceRange, Tolerance};

#[test]
fn a_loss_a_repeat_a_swap_and_a_fork_are_told_apart() {
    assert_eq!(counts(&report_of(&sequences(&[1, 2, 3, 4]))), [0, 0, 0, 0]);
    assert_eq!(counts(&report_of(&sequences(&[1, 2, 4]))), [1, 0, 0, 0]);
    assert_eq!(counts(&report_of(&sequences(&[1, 2, 2, 1, 3]))), [0, 2, 0, 0]);
    assert_eq!(counts(&report_of(&sequences(&[1, 3, 2, 4]))), [0, 0, 1, 0]);
    assert_eq!(counts(&report_of(&sequences(&[1, 4, 3, 3, 5]))), [1, 1, 1, 0]);
    let another = Line { event: 1, ..Line::new(1, 2) };
    assert_eq!(counts(&report_of(&[Line::new(1, 1), Line::new(1, 2), another])), [0, 0, 0, 1]);
}

#[test]
fn what_is_missing_is_named() {
    let report = report_of(&sequences(&[1, 5, 6, 9, 7]));
    let stream = &report.streams[0];
    assert_eq!((stream.partition, &*stream.stream, stream.missing_events), (Some(0), "Account/1", 4));
    let range = |from, to| SequenceRange { epoch: 0, from, to };
    assert_eq!(stream.missing, [range(2, 4), range(8, 8)]);
    let first = stream.first.unwrap();
    assert_eq!((first.sequence, first.offset), (7, 4));
}

#[test]
fn a_sequence_that_nobody_can_have_given_out_breaks_nothing() {
    let far = |stream| [Line::new(stream, 1), Line::new(stream, u64::MAX), Line::new(stream, 3)];
    let report = report_of(&[far(1), far(2)].concat());
    assert_eq!((report.totals.missing, report.totals.out_of_order), (u64::MAX, 2));
    assert!(report.is_wrong(Tolerance::default()));
}

#[test]
fn repeats_are_wrong_unless_they_are_let_pass() {
    let (repeat, loss) = (report_of(&sequences(&[1, 1, 2])), report_of(&sequences(&[1, 1, 3])));
    let tolerant = Tolerance::default().repeats(true);
    assert!(repeat.is_wrong(Tolerance::default()) && !repeat.is_wrong(tolerant));
    assert!(loss.is_wrong(tolerant));
    assert!(!report_of(&sequences(&[1, 2])).is_wrong(Tolerance::default()));
}

#[test]
fn what_was_deleted_before_the_start_is_no_loss_and_what_was_not_is_one() {
    let mut deleted = Reader::from(10);
    deleted.read(&sequences(&[7, 8]));
    assert_eq!(counts(&deleted.report()), [0, 0, 0, 0]);
    // The control: nothing was deleted, so the beginning is missing.
    let whole = report_of(&sequences(&[7, 8]));
    assert_eq!(whole.totals.missing, 6);
}

#[test]
fn no_more_may_be_missing_than_offsets_were_left_out() {
    let read = |skip: i64| {
        let mut reader = Reader::from(0);
        reader.read(&sequences(&[1, 2]));
        reader.read_after(skip, Line::new(1, 6));
        reader.report().totals
    };
    assert_eq!((read(3).missing, read(3).deleted), (0, 3));
    assert_eq!((read(2).missing, read(2).deleted), (3, 0));
    // Left out before the stream's last event: that explains nothing behind it.
    let mut reader = Reader::from(0);
    reader.read_after(5, Line::new(1, 1));
    reader.read(&[Line::new(1, 3)]);
    assert_eq!(reader.report().totals.missing, 1);
}

#[test]
fn a_new_epoch_begins_where_it_likes_and_the_old_one_is_not_forgotten() {
    let epoch = |epoch, sequence| Line { epoch, ..Line::new(1, sequence) };
    assert_eq!(counts(&report_of(&[epoch(0, 1), epoch(0, 2), epoch(1, 9), epoch(1, 10)])), [0, 0, 0, 0]);
    assert_eq!(counts(&report_of(&[epoch(0, 1), epoch(0, 3), epoch(1, 2), epoch(1, 4)])), [2, 0, 0, 0]);
    // From a relay that was frozen: what the old epoch had shown comes again, what it had not is out of order.
    let late = [epoch(0, 1), epoch(0, 2), epoch(1, 2), epoch(0, 2), epoch(0, 3), epoch(0, 3)];
    assert_eq!(counts(&report_of(&late)), [0, 2, 1, 0]);
}

#[test]
fn a_stream_goes_on_in_another_partition_where_the_topic_has_grown() {
    let in_partition = |partition, sequence| Line { partition, ..Line::new(1, sequence) };
    let grown = [in_partition(0, 1), in_partition(0, 2), in_partition(1, 3), in_partition(1, 4)];
    assert_eq!(counts(&report_of(&grown)), [0, 0, 0, 0]);
    let lost_between = [in_partition(0, 1), in_partition(0, 2), in_partition(1, 5)];
    assert_eq!(counts(&report_of(&lost_between)), [2, 0, 0, 0]);
}

/// What is done to whole streams.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Lose(usize),
    Repeat(usize, usize),
    Swap(usize),
}

fn plants() -> impl Strategy<Value = Vec<Plant>> {
    let plant = prop_oneof![
        any::<usize>().prop_map(Plant::Lose),
        (any::<usize>(), 0_usize..20).prop_map(|(at, behind)| Plant::Repeat(at, behind)),
        any::<usize>().prop_map(Plant::Swap),
    ];
    proptest::collection::vec(plant, 0..6)
}

/// Counts by a plain model, from all that was read: what is missing, repeated, out of order.
fn model(lines: &[Line]) -> [u64; 4] {
    let mut counted = [0; 4];
    let streams: std::collections::BTreeSet<u32> = lines.iter().map(|line| line.stream).collect();
    for stream in streams {
        let (mut known, mut highest) = (std::collections::BTreeSet::new(), 0);
        for line in lines.iter().filter(|line| line.stream == stream) {
            if !known.insert(line.sequence) {
                counted[1] += 1;
            } else if line.sequence < highest {
                counted[2] += 1;
            }
            highest = highest.max(line.sequence);
        }
        counted[0] += highest - known.len() as u64;
    }
    counted
}

proptest! {
    #[test]
    fn whatever_is_planted_is_found_and_nothing_else(
        turns in proptest::collection::vec(0_u32..4, 1..120),
        plants in plants(),
    ) {
        let mut ends = [0_u64; 4];
        let mut lines: Vec<Line> = turns
            .into_iter()
            .map(|stream| {
                ends[stream as usize] += 1;
                Line::new(stream, ends[stream as usize])
            })
            .collect();
        prop_assert_eq!(counts(&report_of(&lines)), [0; 4]);
        for plant in plants {
            if lines.len() < 2 {
                break;
            }
            match plant {
                Plant::Lose(at) => drop(lines.remove(at % lines.len())),
                Plant::Repeat(at, behind) => {
                    let at = at % lines.len();
                    lines.insert((at + 1 + behind).min(lines.len()), lines[at]);
                }
                Plant::Swap(at) => {
                    let at = at % (lines.len() - 1);
                    lines.swap(at, at + 1);
                }
            }
        }
        prop_assert_eq!(counts(&report_of(&lines)), model(&lines));
    }

    /// A planted loss that a later event of the stream shows is never missed, whatever lies between.
    #[test]
    fn a_loss_inside_a_stream_is_always_found(length in 3_u64..200, lost in any::<u64>()) {
        let lost = 1 + lost % (length - 1);
        let lines: Vec<_> = (1..=length).filter(|sequence| *sequence != lost).map(|sequence| Line::new(1, sequence)).collect();
        let report = report_of(&lines);
        prop_assert_eq!(counts(&report), [1, 0, 0, 0]);
        prop_assert_eq!(report.streams[0].missing[0].from, lost);
    }
}
