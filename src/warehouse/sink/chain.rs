//! Which rows are there already, told by the files: each event's row is in them once, however often it is delivered, and by
//! whomever.
//!
//! The files of one partition in one folder are a chain. Each is named for where it was begun: the first offset that none before it
//! reaches, and a number where there is one of that name already. So a name follows from the files before it alone, whatever rows
//! the file has, and two that would add to the same chain want the same name; one of them gets it. The other reads what is there
//! by then, and leaves out what it finds.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::WarehouseFiles;
use super::error::SinkError;
use super::parquet_file;
use crate::fault_point;

/// How often a batch is put together anew for what others wrote meanwhile.
const ATTEMPTS: u32 = 16;

/// How many bytes of a topic's name are in those of its files; of a longer one there is a hash behind.
const TOPIC_BYTES: usize = 150;

/// How many chains are remembered. One that is forgotten is read again.
const REMEMBERED: usize = 4_096;

/// Of how many files of a chain it is remembered which offsets they have. Of others it is read again.
const REMEMBERED_FILES: usize = 4_096;

/// What tells a row from others of its chain. Its offset does, until the topic is deleted and made anew: the same offsets are
/// other events then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowId {
    pub(super) offset: i64,
    record: RecordId,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum RecordId {
    /// The event's id.
    Event(String),
    /// The time of a record that says no id, in microseconds.
    Time(Option<i64>),
}

impl RowId {
    /// The row of the record at `offset`, by its columns of the same names.
    pub(super) fn new(offset: i64, event_id: Option<&str>, kafka_timestamp: Option<i64>) -> Self {
        let record = match event_id {
            Some(id) => RecordId::Event(id.to_owned()),
            None => RecordId::Time(kafka_timestamp),
        };
        Self { offset, record }
    }
}

/// Whose files they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ChainId {
    pub(super) folder: String,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
}

/// A file's name in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Link {
    /// The first offset that no earlier file reaches.
    from: i64,
    /// How many files with the same `from` came before it.
    again: u32,
}

/// Where a chain ends.
#[derive(Debug)]
struct End {
    /// What the next file is called.
    next: Link,
    /// The last one.
    last: Option<Link>,
    /// What was read of files on the way back from it. No file changes once it has its name.
    spans: FxHashMap<Link, Span>,
}

/// Which offsets a file's rows have, and what is before it. A batch that has none of them need not read it again: those of a topic
/// that was made anew are all below where its files begin.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
    before: Option<Link>,
}

/// What is known of the chains, by this process. Others may have gone on: then a name is taken.
#[derive(Debug, Default)]
pub(super) struct Chains {
    ends: Mutex<FxHashMap<ChainId, Arc<Mutex<Option<End>>>>>,
}

/// What became of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) rows: usize,
    pub(super) files: usize,
}

impl Chains {
    /// Add `rows`, which ascend, to the chain `id`: those that are not there yet, in a file that `encode` makes of their indices
    /// and of the file before it. They are durable once this returns.
    pub(super) fn add(
        &self,
        files: &dyn WarehouseFiles,
        id: &ChainId,
        rows: &[RowId],
        mut encode: impl FnMut(&[usize], Option<&str>) -> Result<Vec<u8>, SinkError>,
    ) -> Result<Added, SinkError> {
        let known = self.end(id);
        // Batches of one chain, in this process, come one after the other.
        let mut known = known.lock();
        for _ in 0..ATTEMPTS {
            // What goes wrong below leaves it to be read again.
            let mut end = match known.take() {
                Some(end) => end,
                None => read_end(files, id)?,
            };
            let missing = missing(files, id, &mut end, rows)?;
            let Some(highest) = missing.last().and_then(|index| rows.get(*index)).map(|row| row.offset) else {
                *known = Some(end);
                return Ok(Added { rows: 0, files: 0 });
            };
            let before = end.last.map(|link| id.name(link));
            let content = encode(&missing, before.as_deref())?;
            let name = id.name(end.next);
            fault_point::reach("before file");
            let created = files.create(&id.folder, &name, &content);
            if created.map_err(|source| id.failed("written", &name, source))? {
                fault_point::reach("after file");
                *known = Some(End::behind(end.next, highest, end.spans));
                return Ok(Added { rows: missing.len(), files: 1 });
            }
        }
        let (folder, topic, partition) = (id.folder.clone(), id.topic.to_string(), id.partition);
        Err(SinkError::Contended { folder, topic, partition, times: ATTEMPTS })
    }

    fn end(&self, id: &ChainId) -> Arc<Mutex<Option<End>>> {
        let mut ends = self.ends.lock();
        if ends.len() >= REMEMBERED && !ends.contains_key(id) {
            ends.retain(|_, end| Arc::strong_count(end) > 1);
        }
        Arc::clone(ends.entry(id.clone()).or_default())
    }
}

impl ChainId {
    fn name(&self, link: Link) -> String {
        let (topic, partition) = (self.topic_in_names(), self.partition);
        let Link { from, again } = link;
        match again {
            0 => format!("{topic}+{partition}+{from:020}.parquet"),
            again => format!("{topic}+{partition}+{from:020}+{again}.parquet"),
        }
    }

    /// The topic, or its beginning and a hash: file systems have names of at most 255 bytes, and a topic's may have 249.
    fn topic_in_names(&self) -> Cow<'_, str> {
        match self.topic.get(..TOPIC_BYTES).filter(|beginning| beginning.len() < self.topic.len()) {
            // No topic has such a sign in its name.
            Some(beginning) => Cow::Owned(format!("{beginning}~{}", hash(&self.topic))),
            None => Cow::Borrowed(&self.topic),
        }
    }

    /// The place of a file of this chain.
    fn link(&self, name: &str) -> Option<Link> {
        let rest = name.strip_prefix(&*self.topic_in_names())?.strip_prefix('+')?.strip_suffix(".parquet")?;
        let mut numbers = rest.strip_prefix(&self.partition.to_string())?.strip_prefix('+')?.split('+');
        let from = numbers.next()?.parse().ok()?;
        let again = numbers.next().map_or(Some(0), |again| again.parse().ok())?;
        // Written in any other way, it is somebody else's.
        Some(Link { from, again }).filter(|link| self.name(*link) == name)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> SinkError {
        SinkError::Files { doing, path: self.path(name), source }
    }
}

impl End {
    /// The end of a chain whose last file is `last`, with `highest` as its highest offset.
    fn behind(last: Link, highest: i64, spans: FxHashMap<Link, Span>) -> Self {
        let next = if highest >= last.from {
            Link { from: highest.saturating_add(1), again: 0 }
        } else {
            Link { from: last.from, again: last.again.saturating_add(1) }
        };
        Self { next, last: Some(last), spans }
    }
}

/// The end of a chain, from its files. A listing may miss what is added meanwhile: then the name is taken, and this is done again.
fn read_end(files: &dyn WarehouseFiles, id: &ChainId) -> Result<End, SinkError> {
    let listed = files.list(&id.folder);
    let names = listed.map_err(|source| SinkError::Files { doing: "listed", path: id.folder.clone(), source })?;
    let Some(last) = names.iter().filter_map(|name| id.link(name)).max() else {
        return Ok(End { next: Link { from: 0, again: 0 }, last: None, spans: FxHashMap::default() });
    };
    let name = id.name(last);
    let content = files.read(&id.path(&name)).map_err(|source| id.failed("read", &name, source))?;
    let footer = parquet_file::footer(&content).map_err(|reason| foreign(id, &name, reason))?;
    Ok(End::behind(last, footer.last_offset, FxHashMap::default()))
}

/// The indices of those of `rows` that the chain does not have.
///
/// A file's offsets are below where any later one begins. So an offset can only be in the last file that begins at or below it, and
/// in those behind that one. They are found backwards, each by the name of the one before it: a listing might leave one out.
fn missing(files: &dyn WarehouseFiles, id: &ChainId, end: &mut End, rows: &[RowId]) -> Result<Vec<usize>, SinkError> {
    let mut there = vec![false; rows.len()];
    let lowest = |there: &[bool]| rows.iter().zip(there).find(|(_, there)| !**there).map(|(row, _)| row.offset);
    // From here on, all that is there has been found.
    let mut found_from = end.next.from;
    let mut file = end.last;
    while let Some(link) = file.filter(|_| lowest(&there).is_some_and(|lowest| lowest < found_from)) {
        found_from = link.from;
        if let Some(span) = end.spans.get(&link).filter(|span| !span.has_any_of(rows)) {
            file = span.before;
            continue;
        }
        let name = id.name(link);
        let content = match files.read(&id.path(&name)) {
            // Somebody has taken it away, and what was before it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            content => content.map_err(|source| id.failed("read", &name, source))?,
        };
        let (footer, in_file) = parquet_file::rows(content).map_err(|reason| foreign(id, &name, reason))?;
        for row in &in_file {
            if let Ok(index) = rows.binary_search(row) {
                there[index] = true;
            }
        }
        let before = match footer.before {
            Some(before) => match id.link(&before) {
                Some(earlier) if earlier < link => Some(earlier),
                _ => return Err(foreign(id, &name, format!("it says that it follows {before}"))),
            },
            None => None,
        };
        if end.spans.len() < REMEMBERED_FILES {
            end.spans.insert(link, Span::of(&in_file, before));
        }
        file = before;
    }
    Ok(there.iter().enumerate().filter(|(_, there)| !**there).map(|(index, _)| index).collect())
}

impl Span {
    /// Of a file with these rows; it has at least one.
    fn of(rows: &[RowId], before: Option<Link>) -> Self {
        let offsets = || rows.iter().map(|row| row.offset);
        Self { first: offsets().min().unwrap_or(i64::MIN), last: offsets().max().unwrap_or(i64::MAX), before }
    }

    /// Whether one of `rows`, which ascend, may be in the file.
    fn has_any_of(&self, rows: &[RowId]) -> bool {
        let from = rows.partition_point(|row| row.offset < self.first);
        rows.get(from).is_some_and(|row| row.offset <= self.last)
    }
}

/// As digits; the same in every version, since files are found by it.
fn hash(topic: &str) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(topic.as_bytes());
    format!("{:032x}", hasher.finish128().as_u128())
}

fn foreign(id: &ChainId, name: &str, reason: String) -> SinkError {
    SinkError::Foreign { path: id.path(name), reason }
}
