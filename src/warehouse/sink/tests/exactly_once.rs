//! However events are delivered, each is a row once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::envelope::header;

/// What a disk or its listing does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The file is not made.
    Before(io::ErrorKind),
    /// It is made, and nobody is told, as when the folder cannot be synced behind it.
    After(io::ErrorKind),
    /// A listing leaves out the file in this place, as one that runs beside a writer may.
    Unlisted(usize),
}

/// Files with faults, one for each batch.
#[derive(Debug, Default)]
struct Faulty {
    files: MemoryFiles,
    fault: Mutex<Option<Fault>>,
}

impl WarehouseFiles for Faulty {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = self.files.list(folder)?;
        let mut fault = self.fault.lock();
        if let Some(Fault::Unlisted(place)) = *fault
            && !names.is_empty()
        {
            names.remove(place % names.len());
            // Once: the next listing has it.
            *fault = None;
        }
        Ok(names)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.files.read(path)
    }

    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool> {
        let fault = *self.fault.lock();
        match fault {
            Some(Fault::Before(kind)) => Err(kind.into()),
            Some(Fault::After(kind)) => {
                self.files.create(folder, name, content)?;
                Err(kind.into())
            }
            _ => self.files.create(folder, name, content),
        }
    }
}

/// How a folder may fail: what passes, what somebody has to mend, and what no call will ever do there.
const KINDS: [io::ErrorKind; 9] = [
    io::ErrorKind::AlreadyExists,
    io::ErrorKind::InvalidFilename,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::StorageFull,
    io::ErrorKind::TimedOut,
    io::ErrorKind::Unsupported,
];

const DAYS: [&str; 2] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];

/// Write the events of these offsets: those of one day, then those of another, in turns.
fn write(sink: &ParquetSink, partition: i32, offsets: &[i64]) -> Result<Written, SinkError> {
    let events: Vec<_> = offsets.iter().map(|offset| Scored { player: *offset }).collect();
    let day = |offset: i64| DAYS[usize::from(offset / 3 % 2 == 1)];
    let messages: Vec<_> =
        offsets.iter().map(|offset| message(partition, *offset, &[(header::TIME, day(*offset))])).collect();
    sink.shared.write(&events, &messages)
}

/// How often each row is in the files.
fn counted(files: &MemoryFiles) -> BTreeMap<(i32, i64), usize> {
    let mut rows = BTreeMap::new();
    for path in files.paths() {
        let name = path.rsplit('/').next().unwrap();
        let partition = name.split('+').nth(1).unwrap().parse().unwrap();
        let (_, found) = parquet_file::rows(files.read(&path).unwrap()).unwrap();
        for row in found {
            *rows.entry((partition, row.offset)).or_default() += 1;
        }
    }
    rows
}

fn sink(files: &Arc<impl WarehouseFiles>) -> ParquetSink {
    ParquetSink::new(Arc::clone(files) as Arc<dyn WarehouseFiles>)
}

/// A batch: by which process, of which partition, with which offsets, and what goes wrong.
type Step = (usize, i32, BTreeSet<i64>, Fault);

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => prop::sample::select(&KINDS[..]).prop_map(Fault::Before),
        1 => prop::sample::select(&KINDS[..]).prop_map(Fault::After),
        1 => (0_usize..8).prop_map(Fault::Unlisted),
    ];
    // Runs, as a partition is read, and any set at all, as with parked keys.
    let offsets = prop_oneof![
        3 => (0_i64..30, 1_i64..12).prop_map(|(from, length)| (from..from + length).collect()),
        1 => prop::collection::btree_set(0_i64..40, 1..8),
    ];
    (0_usize..3, 0..2, offsets, fault)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_row_is_lost_or_there_twice_however_batches_are_cut_and_whoever_writes_them(
        steps in prop::collection::vec(step(), 1..24),
        restarts in prop::collection::vec(any::<bool>(), 24),
    ) {
        let files = Arc::new(Faulty::default());
        let mut sinks = [(); 3].map(|()| sink(&files));
        let mut done = BTreeSet::new();
        for ((process, partition, offsets, fault), restart) in steps.into_iter().zip(restarts) {
            if restart {
                sinks[process] = sink(&files);
            }
            let offsets: Vec<i64> = offsets.into_iter().collect();
            *files.fault.lock() = Some(fault);
            let written = write(&sinks[process], partition, &offsets);
            *files.fault.lock() = None;
            match written {
                Ok(_) => done.extend(offsets.iter().map(|offset| (partition, *offset))),
                Err(error) => {
                    prop_assert!(matches!(fault, Fault::Before(_) | Fault::After(_)), "{error:?}");
                    prop_assert_eq!(error.into_handler_error().class(), crate::outcome::ErrorClass::Unavailable);
                }
            }
            let rows = counted(&files.files);
            prop_assert!(rows.values().all(|times| *times == 1), "{rows:?}");
            prop_assert!(done.iter().all(|row| rows.contains_key(row)), "{done:?} {rows:?}");
        }
    }
}

/// Files that another process writes, too, whenever this one is about to.
#[derive(Debug)]
struct Raced {
    files: Arc<MemoryFiles>,
    others: Mutex<Vec<(i64, i64)>>,
}

impl WarehouseFiles for Raced {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.files.list(folder)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.files.read(path)
    }

    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool> {
        if let Some((from, to)) = self.others.lock().pop() {
            write(&sink(&self.files), 0, &(from..to).collect::<Vec<_>>()).unwrap();
        }
        self.files.create(folder, name, content)
    }
}

#[test]
fn a_batch_leaves_out_what_another_process_wrote_while_it_was_put_together() {
    let files = Arc::new(MemoryFiles::new());
    // The new owner of the partition cuts its batches otherwise than the old one, which was cut off in its middle.
    let others = Mutex::new(vec![(20, 26), (4, 11), (0, 4)]);
    let raced = Arc::new(Raced { files: Arc::clone(&files), others });
    let written = write(&sink(&raced), 0, &(0..24).collect::<Vec<_>>()).unwrap();
    assert_eq!((written.rows, written.repeats), (9, 15));
    let rows = counted(&files);
    assert_eq!(rows.len(), 26);
    assert!(rows.values().all(|times| *times == 1), "{rows:?}");
}

/// What would go wrong where two could make the same file.
#[derive(Debug)]
struct Overwriting(Raced);

impl WarehouseFiles for Overwriting {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.0.read(path)
    }

    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool> {
        Ok(self.0.create(folder, name, content)? || self.0.create("elsewhere", name, content)?)
    }
}

#[test]
fn the_count_of_rows_finds_out_a_place_that_tells_two_that_they_made_a_file() {
    let files = Arc::new(MemoryFiles::new());
    let raced = Raced { files: Arc::clone(&files), others: Mutex::new(vec![(0, 4)]) };
    write(&sink(&Arc::new(Overwriting(raced))), 0, &(0..6).collect::<Vec<_>>()).unwrap();
    assert!(counted(&files).values().any(|times| *times == 2));
}

#[test]
fn files_are_named_for_where_their_chain_had_come_to() {
    let files = Arc::new(MemoryFiles::new());
    for offsets in [&[1, 2][..], &[2, 6, 7], &[0], &[1, 8]] {
        write(&sink(&files), 4, offsets).unwrap();
    }
    let first_day = |name: &str| format!("event=scores.Scored/day=2026-01-01/scores+4+{name}.parquet");
    assert_eq!(
        files.paths(),
        [
            first_day("00000000000000000000"),
            first_day("00000000000000000003"),
            // In the order of the alphabet: it came last.
            first_day("00000000000000000008+1"),
            first_day("00000000000000000008"),
        ]
    );
    assert_eq!(counted(&files).len(), 6);
}

#[test]
fn a_file_of_somebody_elses_stops_the_sink_rather_than_letting_it_guess() {
    let files = Arc::new(MemoryFiles::new());
    let folder = "event=scores.Scored/day=2026-01-01";
    // Others' names, of other topics and partitions, do not matter.
    for name in ["scores+0+7.parquet", "scores+1+00000000000000000000.parquet", "other.parquet"] {
        files.create(folder, name, b"?").unwrap();
    }
    assert_eq!(write(&sink(&files), 0, &[1]).unwrap().rows, 1);
    files.create(folder, "scores+0+00000000000000000009.parquet", b"?").unwrap();
    let error = write(&sink(&files), 0, &[2]).unwrap_err();
    assert!(matches!(error, SinkError::Foreign { .. }), "{error:?}");
    assert!(!error.into_handler_error().is_terminal());
}

/// Write events with these offsets and ids, all of one day.
fn write_named(sink: &ParquetSink, named: &[(i64, &str)]) -> Written {
    let events: Vec<_> = named.iter().map(|(offset, _)| Scored { player: *offset }).collect();
    let messages: Vec<_> =
        named.iter().map(|(offset, id)| message(0, *offset, &[(header::TIME, DAYS[0]), (header::ID, id)])).collect();
    sink.shared.write(&events, &messages).unwrap()
}

#[test]
fn events_of_a_topic_that_was_made_anew_are_rows_though_their_offsets_were_there() {
    let files = Arc::new(MemoryFiles::new());
    let before = [(0, "a"), (1, "b"), (2, "c"), (3, "d")];
    assert_eq!(write_named(&sink(&files), &before).rows, 4);
    let written = write_named(&sink(&files), &[(0, "e"), (1, "f"), (3, "d")]);
    assert_eq!((written.rows, written.repeats), (2, 1));
    let anew = [(0, "e"), (1, "f"), (2, "g"), (3, "d"), (4, "h")];
    let process = sink(&files);
    assert_eq!(write_named(&process, &anew).rows, 2);
    for again in [&before[..], &anew] {
        let written = write_named(&process, again);
        assert_eq!((written.rows, written.repeats), (0, again.len()));
    }
    let times: Vec<_> = counted(&files).into_values().collect();
    assert_eq!(times, [2, 2, 2, 1, 1]);
}

/// Files that count how often they are read.
#[derive(Debug, Default)]
struct Counting {
    files: MemoryFiles,
    reads: Mutex<usize>,
}

impl WarehouseFiles for Counting {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.files.list(folder)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        *self.reads.lock() += 1;
        self.files.read(path)
    }

    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool> {
        self.files.create(folder, name, content)
    }
}

#[test]
fn a_topic_that_was_made_anew_does_not_have_all_files_read_for_each_of_its_batches() {
    const BATCHES: usize = 20;
    let files = Arc::new(Counting::default());
    for life in ["old", "new"] {
        let process = sink(&files);
        for batch in (0_i64..).take(BATCHES) {
            let id = format!("{life}-{batch}");
            let named: Vec<_> = (0..3).map(|row| (batch * 3 + row, id.as_str())).collect();
            assert_eq!(write_named(&process, &named).rows, 3);
        }
    }
    // The end, all of the old ones once, and for each batch the one before it and the old one with its offsets.
    let reads = *files.reads.lock();
    assert!(reads <= 1 + 3 * BATCHES, "{reads}");
    let times: Vec<_> = counted(&files.files).into_values().collect();
    assert_eq!(times, [2; 3 * BATCHES]);
}

#[test]
fn a_record_without_an_id_is_known_again_by_its_time() {
    let files = Arc::new(MemoryFiles::new());
    let write = |millis: i64| {
        let message = message_at(0, 5, Some(millis), &[(header::TIME, DAYS[0])]);
        sink(&files).shared.write(&[Scored { player: 5 }], &[message]).unwrap().rows
    };
    assert_eq!([write(1_000), write(1_000), write(2_000), write(1_000)], [1, 0, 1, 0]);
}

#[test]
fn a_topic_with_the_longest_name_there_is_has_files_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let topics = ["a", "b"].map(|last| "t".repeat(248) + last);
    for (topic, times) in topics.iter().flat_map(|topic| [(topic, 1), (topic, 2)]) {
        // Another process each time.
        let sink = ParquetSink::local(folder.path());
        let messages = [message_of(topic, i32::MAX, i64::MAX - 1)];
        let written = sink.shared.write(&[Scored { player: 1 }], &messages).unwrap();
        assert_eq!((written.rows, written.repeats), if times == 1 { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn whatever_is_wrong_with_the_folder_no_event_is_given_up_for_it() {
    for fault in KINDS.into_iter().flat_map(|kind| [Fault::Before(kind), Fault::After(kind)]) {
        let files = Arc::new(Faulty::default());
        *files.fault.lock() = Some(fault);
        let error = write(&sink(&files), 0, &[1]).unwrap_err();
        assert!(matches!(error, SinkError::Files { .. }), "{fault:?}: {error:?}");
        assert_eq!(error.into_handler_error().class(), crate::outcome::ErrorClass::Unavailable, "{fault:?}");
    }
}

#[test]
fn a_file_that_was_named_before_the_folder_failed_is_known_again_by_every_process() {
    for kind in KINDS {
        let files = Arc::new(Faulty::default());
        let process = sink(&files);
        *files.fault.lock() = Some(Fault::After(kind));
        write(&process, 0, &[0, 1, 2]).unwrap_err();
        *files.fault.lock() = None;
        for process in [&process, &sink(&files)] {
            let written = write(process, 0, &[0, 1, 2]).unwrap();
            assert_eq!((written.rows, written.repeats), (0, 3), "{kind}");
        }
        assert_eq!(counted(&files.files).len(), 3, "{kind}");
    }
}

#[test]
fn events_wait_for_a_folder_that_may_not_be_written_to_until_it_may_and_are_rows_then() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody, not even root, makes a folder within a file.
    let root = folder.path().join("warehouse");
    std::fs::write(&root, b"in the way").unwrap();
    let sink = ParquetSink::local(&root);
    let error = write(&sink, 0, &[1, 2]).unwrap_err();
    assert!(matches!(error, SinkError::Files { .. }), "{error:?}");
    assert_eq!(error.into_handler_error().class(), crate::outcome::ErrorClass::Unavailable);
    std::fs::remove_file(&root).unwrap();
    assert_eq!(write(&sink, 0, &[1, 2]).unwrap().rows, 2);
}

#[tokio::test]
async fn a_handler_passes_its_batch_and_is_told_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let sink = ParquetSink::local(folder.path());
    sink.check::<Scored>().unwrap();
    let batch = |offsets: &[i64]| {
        let messages = offsets.iter().map(|offset| message(0, *offset, &[])).collect();
        (offsets.iter().map(|offset| Scored { player: *offset }).collect(), messages)
    };
    let (events, messages): (Vec<Scored>, _) = batch(&[3, 1, 3]);
    let written = sink.write(events, messages).await.unwrap();
    assert_eq!(written, Written { rows: 2, repeats: 1, files: 1 });
    let (events, messages) = batch(&[1, 2, 3, 4]);
    assert_eq!(sink.write(events, messages).await.unwrap(), Written { rows: 2, repeats: 2, files: 1 });
    let (events, _) = batch(&[5]);
    let error = sink.write(events, Vec::new()).await.unwrap_err();
    assert_eq!(error.class(), crate::outcome::ErrorClass::Unavailable);
}
