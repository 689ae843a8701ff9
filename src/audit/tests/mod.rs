//! Planted losses, repeats and swaps are found, and nothing else is.

mod compared;
mod memory;
mod planted;
mod saved;

use super::comparison::Comparison;
use super::log::Log;
use super::names::{Names, SLOTS};
use super::report::AuditReport;
use super::streams::{Sighting, Streams};
use crate::consumer::sequences::Place;

/// A record of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    partition: i32,
    stream: u32,
    epoch: u32,
    sequence: u64,
    /// Tells events of one sequence apart.
    event: u32,
}

impl Line {
    const fn new(stream: u32, sequence: u64) -> Self {
        Self { partition: 0, stream, epoch: 0, sequence, event: 0 }
    }
}

/// An audit of records in memory.
struct Reader {
    streams: Streams,
    log: Log,
}

impl Reader {
    /// One that reads from the offset 0, or from where something was deleted before.
    fn from(offset: i64) -> Self {
        Self { streams: Streams::new(Names::new([7, 8]), 0..SLOTS), log: Log::beginning([(0, offset), (1, offset)]) }
    }

    /// Read a record at the next offset of its partition; `skip` offsets are left out before it.
    fn read_after(&mut self, skip: i64, line: Line) {
        let Line { partition, stream, epoch, sequence, event } = line;
        let offset = self.log.next(partition) + skip;
        let unread = self.log.read(partition, offset).unwrap();
        let (name, id) = (format!("Account/{stream}"), format!("{stream} {epoch} {sequence} {event}"));
        let place = Place { stream: name.as_bytes(), epoch, sequence, event_id: id.as_bytes() };
        self.streams.see(Sighting { partition, offset, unread, place });
    }

    fn read(&mut self, lines: &[Line]) {
        for line in lines {
            self.read_after(0, *line);
        }
    }

    /// What is wrong within what was read.
    fn report(&self) -> AuditReport {
        let mut report = AuditReport::default();
        Comparison::default().tell_flaws(&self.streams, &self.log, &mut report);
        report.sort();
        report
    }
}

fn report_of(lines: &[Line]) -> AuditReport {
    let mut reader = Reader::from(0);
    reader.read(lines);
    reader.report()
}

fn sequences(sequences: &[u64]) -> Vec<Line> {
    sequences.iter().map(|sequence| Line::new(1, *sequence)).collect()
}

/// What is missing, repeated, out of order, forked.
fn counts(report: &AuditReport) -> [u64; 4] {
    let totals = report.totals;
    [totals.missing, totals.repeated, totals.out_of_order, totals.forked]
}
