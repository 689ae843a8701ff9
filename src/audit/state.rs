//! What an audit knows so far, kept in a file between runs.
//!
//! A line that names the format, a JSON header with its length before it, 33 bytes for every stream, 21 for every epoch of one that
//! is over, and a hash of it all. It is
//! written beside the file and then takes its place: what is there is whole, whenever the process ends.

use std::borrow::Cow;
use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::error::AuditError;
use super::log::Log;
use super::names::{Names, SLOTS};
use super::report::{AuditReport, AuditTotals, Flaw, StreamReport};
use super::streams::{Seen, Slot, Streams};

const FORMAT: &[u8] = b"tidings audit 2\n";

/// What an audit knows so far.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) streams: Streams,
    pub(super) log: Log,
    /// What the passes that are over have found.
    pub(super) over: AuditReport,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    topic: String,
    key: [u64; 2],
    from: u16,
    to: u16,
    log: Log,
    passes: u32,
    totals: AuditTotals,
    told: Cow<'a, [StreamReport]>,
    unlisted: u64,
    slots: Vec<SlotHeader<'a>>,
    streams: u64,
    former: u64,
}

#[derive(Serialize, Deserialize)]
struct SlotHeader<'a> {
    number: u8,
    totals: AuditTotals,
    unlisted: u64,
    flaws: Vec<(u64, Cow<'a, Flaw>)>,
}

impl Progress {
    /// Read `path`; `None` where there is none yet.
    pub(super) fn load(path: &Path, topic: &str) -> Result<Option<Self>, AuditError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(AuditError::StateFile { path: path.to_owned(), doing: "read", source }),
        };
        let progress = read(&mut Hashing::new(BufReader::with_capacity(1 << 20, file)), topic);
        let reason = match progress {
            Ok(progress) => return Ok(Some(progress)),
            Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
            Err(Unusable::Io(source)) => {
                return Err(AuditError::StateFile { path: path.to_owned(), doing: "read", source });
            }
            Err(Unusable::Content(reason)) => reason,
        };
        Err(AuditError::State { path: path.to_owned(), reason })
    }

    /// Write `path`, all of it or nothing.
    pub(super) fn save(&self, path: &Path) -> Result<(), AuditError> {
        let beside = beside(path);
        let saved = self.write(&beside).and_then(|()| fs::rename(&beside, path)).and_then(|()| match path.parent() {
            // The rename itself must survive, too.
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        });
        saved.map_err(|source| AuditError::StateFile { path: path.to_owned(), doing: "written", source })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut output = Hashing::new(BufWriter::with_capacity(1 << 20, File::create(path)?));
        let slots = self.streams.slots();
        let header = serde_json::to_vec(&self.header())?;
        output.write(FORMAT)?;
        output.write(&(header.len() as u64).to_le_bytes())?;
        output.write(&header)?;
        for (number, slot) in (0..=u8::MAX).zip(slots) {
            for (key, seen) in &slot.seen {
                output.write(&[number])?;
                output.write(&key.to_le_bytes())?;
                output.write(&seen.sequence.to_le_bytes())?;
                output.write(&seen.unread.to_le_bytes())?;
                output.write(&seen.epoch.to_le_bytes())?;
                output.write(&seen.event.to_le_bytes())?;
            }
        }
        for (number, slot) in (0..=u8::MAX).zip(slots) {
            for ((key, epoch), end) in &slot.former {
                output.write(&[number])?;
                output.write(&key.to_le_bytes())?;
                output.write(&epoch.to_le_bytes())?;
                output.write(&end.to_le_bytes())?;
            }
        }
        let hash = output.hash.finish();
        let mut file = output.inner;
        file.write_all(&hash.to_le_bytes())?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn header(&self) -> Header<'_> {
        let slots = self.streams.slots();
        let range = self.streams.range();
        let header = |(number, slot)| header_of(number, slot);
        Header {
            topic: self.over.topic.clone(),
            key: self.streams.names().key(),
            from: range.start,
            to: range.end,
            log: self.log.clone(),
            passes: self.over.passes,
            totals: self.over.totals,
            told: Cow::Borrowed(&self.over.streams),
            unlisted: self.over.unlisted_streams,
            slots: (0..=u8::MAX).zip(slots).map(header).collect(),
            streams: slots.iter().map(|slot| slot.seen.len() as u64).sum(),
            former: slots.iter().map(|slot| slot.former.len() as u64).sum(),
        }
    }
}

fn header_of(number: u8, slot: &Slot) -> SlotHeader<'_> {
    let flaws = slot.flaws.iter().map(|(key, flaw)| (*key, Cow::Borrowed(flaw))).collect();
    SlotHeader { number, totals: slot.totals, unlisted: slot.unlisted, flaws }
}

enum Unusable {
    Io(io::Error),
    Content(String),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn read(input: &mut Hashing<impl Read>, topic: &str) -> Result<Progress, Unusable> {
    let content = |reason: &str| Unusable::Content(reason.to_owned());
    let mut format = [0; FORMAT.len()];
    input.read(&mut format)?;
    if format != FORMAT {
        return Err(content("it is no state of this version's audits"));
    }
    let length = u64::from_le_bytes(input.array()?);
    let mut header = Vec::new();
    input.read_to(length, &mut header)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| content("it is damaged"))?;
    if header.topic != topic {
        return Err(Unusable::Content(format!("it is of the topic {}", header.topic)));
    }
    if header.from >= header.to || header.to > SLOTS {
        return Err(content("it is damaged"));
    }
    let mut slots: FxHashMap<u8, Slot> = FxHashMap::default();
    for SlotHeader { number, totals, unlisted, flaws } in header.slots {
        let slot = slots.entry(number).or_default();
        (slot.totals, slot.unlisted, slot.flaws) =
            (totals, unlisted, flaws.into_iter().map(|(key, flaw)| (key, flaw.into_owned())).collect());
    }
    for _ in 0..header.streams {
        let [number] = input.array()?;
        let key = u64::from_le_bytes(input.array()?);
        let (sequence, unread) = (u64::from_le_bytes(input.array()?), u64::from_le_bytes(input.array()?));
        let (epoch, event) = (u32::from_le_bytes(input.array()?), u32::from_le_bytes(input.array()?));
        slots.entry(number).or_default().seen.insert(key, Seen { sequence, unread, epoch, event });
    }
    for _ in 0..header.former {
        let [number] = input.array()?;
        let (key, epoch) = (u64::from_le_bytes(input.array()?), u32::from_le_bytes(input.array()?));
        slots.entry(number).or_default().former.insert((key, epoch), u64::from_le_bytes(input.array()?));
    }
    let expected = input.hash.finish();
    if u64::from_le_bytes(input.array()?) != expected {
        return Err(content("it is damaged"));
    }
    let mut streams = Streams::new(Names::new(header.key), header.from..header.to);
    for (number, slot) in slots {
        streams.restore(number, slot);
    }
    let mut over = AuditReport {
        topic: header.topic,
        passes: header.passes,
        totals: header.totals,
        unlisted_streams: header.unlisted,
        ..AuditReport::default()
    };
    header.told.into_owned().into_iter().for_each(|stream| over.list(stream));
    Ok(Progress { streams, log: header.log, over })
}

/// Hashes what goes through it: damage shows.
struct Hashing<T> {
    inner: T,
    hash: SipHasher13,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: SipHasher13::new() }
    }
}

impl<W: Write> Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.write(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Hashing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hash.write(bytes);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Exactly `length` bytes; no more is taken from memory than there are.
    fn read_to(&mut self, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let count = (&mut self.inner).take(length).read_to_end(bytes)?;
        self.hash.write(bytes);
        if (count as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// A file beside `path`, to become it.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}
