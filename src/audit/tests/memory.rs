//! Memory is bounded: what does not fit is read in a later pass.

use super::super::state::Progress;
use super::super::streams::Slot;
use super::*;
use crate::audit::{SequenceRange, StreamReport};

/// Read so many streams of three events each, the last of every thousandth lost and its successor there, within `memory`.
fn audit(streams: u32, memory: usize) -> (AuditReport, usize) {
    let (mut report, mut range, mut most) = (AuditReport::default(), 0..SLOTS, 0);
    loop {
        let mut reader = Reader::from(0);
        reader.streams = Streams::new(Names::new([7, 8]), range.clone());
        for sequence in [1, 2, 3] {
            for stream in (0..streams).filter(|stream| sequence != 2 || stream % 1_000 != 0) {
                reader.read(&[Line::new(stream, sequence)]);
                if stream % 1_024 == 0 {
                    while reader.streams.bytes() > memory {
                        reader.streams.narrow().unwrap();
                    }
                    most = most.max(reader.streams.bytes());
                }
            }
        }
        report.add(reader.report());
        let end = reader.streams.range().end;
        if end == SLOTS {
            return (report, most);
        }
        range = end..(end + (end - reader.streams.range().start)).min(SLOTS);
    }
}

#[test]
fn several_passes_find_what_one_finds() {
    let (whole, bytes) = audit(20_000, usize::MAX);
    let (parts, bytes_of_parts) = audit(20_000, bytes / 5);
    assert_eq!((whole.passes, whole.totals.streams, whole.totals.events), (1, 20_000, 59_980));
    assert!(parts.passes >= 5 && bytes_of_parts <= bytes / 5, "{} passes, {bytes_of_parts} of {bytes}", parts.passes);
    assert_eq!((parts.totals, counts(&parts)), (whole.totals, [20, 0, 0, 0]));
}

#[test]
fn a_report_lists_no_more_streams_than_fit_into_its_bytes_and_counts_the_others() {
    let ranges: Vec<_> = (0..1_000).map(|from| SequenceRange { epoch: 0, from: 2 * from, to: 2 * from }).collect();
    let mut report = AuditReport::default();
    for stream in 0..20_000 {
        let stream = StreamReport {
            partition: Some(0),
            stream: format!("Account/{stream}"),
            missing: ranges.clone(),
            missing_events: 1_000,
            ..StreamReport::default()
        };
        report.tell(stream);
    }
    let listed = report.streams.len();
    assert!((2_000..4_000).contains(&listed), "{listed} streams of some 24 kB each in 64 MiB");
    assert_eq!((report.unlisted_streams, report.totals.missing), (20_000 - listed as u64, 20_000_000));
}

#[test]
fn what_does_not_fit_at_all_is_an_error() {
    let mut streams = Streams::new(Names::new([7, 8]), 3..5);
    streams.narrow().unwrap();
    assert_eq!(streams.range(), 3..4);
    assert!(streams.narrow().is_err());
}

#[test]
fn epochs_that_are_over_are_counted_and_are_there_again_in_a_state_that_was_saved() {
    let epoch = |stream, epoch, sequence| Line { epoch, ..Line::new(stream, sequence) };
    let mut reader = Reader::from(0);
    (0..20_000).for_each(|stream| reader.read(&[epoch(stream, 0, 1)]));
    let before = reader.streams.bytes();
    (0..20_000).for_each(|stream| reader.read(&[epoch(stream, 1, 2)]));
    let counted = reader.streams.bytes() - before;
    assert!((20_000 * 21..20_000 * 64).contains(&counted), "{counted} bytes for 20,000 epochs");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let over = AuditReport { topic: "accounts".to_owned(), ..AuditReport::default() };
    Progress { streams: reader.streams, log: reader.log, over }.save(&path).unwrap();
    let Progress { streams, log, .. } = Progress::load(&path, "accounts").unwrap().unwrap();
    let mut reader = Reader { streams, log };
    // Repeated, and out of order.
    reader.read(&[epoch(7, 0, 1), epoch(8, 0, 2)]);
    assert_eq!(counts(&reader.report()), [0, 1, 1, 0]);
}

#[test]
fn what_is_kept_of_flaws_is_counted_is_restored_and_is_left_out_with_its_streams() {
    let mut reader = Reader::from(0);
    (0..2_000).for_each(|stream| reader.read(&[Line::new(stream, 1)]));
    let before = reader.streams.bytes();
    for sequence in (3..=1_001).step_by(2) {
        (0..100).for_each(|stream| reader.read(&[Line::new(stream, sequence)]));
    }
    let counted = reader.streams.bytes() - before;
    let ranges = 100 * 500 * size_of::<SequenceRange>();
    assert!((ranges..ranges * 5 / 2).contains(&counted), "{counted} bytes for {ranges} of ranges");

    let mut again = Streams::new(reader.streams.names(), reader.streams.range());
    for (number, slot) in (0..=u8::MAX).zip(reader.streams.slots()) {
        let mut saved = Slot::default();
        (saved.seen, saved.flaws) = (slot.seen.clone(), slot.flaws.clone());
        again.restore(number, saved);
    }
    assert!(again.bytes() >= before + ranges, "{} bytes are counted after it was restored", again.bytes());
    (0..8).for_each(|_| again.narrow().unwrap());
    let slot = &again.slots()[0];
    let rest = slot.flaws.len() * 500 * size_of::<SequenceRange>();
    assert!((rest..rest + before).contains(&again.bytes()), "{} bytes for {rest}", again.bytes());
}

#[test]
fn a_stream_whose_events_come_late_keeps_no_more_ranges_than_are_listed_and_is_counted_right() {
    for descending in [false, true] {
        let mut late: Vec<u64> = (1..=5_000).map(|half| half * 2).collect();
        if descending {
            late.reverse();
        }
        let mut reader = Reader::from(0);
        reader.read(&sequences(&[10_001]));
        let before = reader.streams.bytes();
        reader.read(&sequences(&late));
        assert_eq!(counts(&reader.report()), [5_000, 0, 5_000, 0]);
        assert_eq!(reader.report().streams[0].missing.len(), 1_000);
        assert!(reader.streams.bytes() - before < 64 * 1_024);
        // One that is missing without being listed: nobody can tell any more, and it is missing still.
        reader.read(&sequences(&[if descending { 7 } else { 9_001 }]));
        assert_eq!(counts(&reader.report()), [5_000, 1, 5_000, 0]);
    }
}

/// What this process has in memory, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "long: make soak runs it"]
fn five_million_streams_take_no_more_memory_than_is_counted() {
    let before = resident();
    let mut reader = Reader::from(0);
    for stream in 0..5_000_000 {
        reader.read(&[Line::new(stream, 1)]);
    }
    let (counted, taken) = (reader.streams.bytes(), resident() - before);
    let a_stream = counted / 5_000_000;
    println!("{counted} bytes counted, {taken} taken, {a_stream} a stream");
    assert!((33..=75).contains(&a_stream), "{a_stream}");
    assert!(taken < counted + counted / 5, "{taken} taken of {counted} counted");
}
