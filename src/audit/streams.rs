//! The latest of every stream in a partition, and what is wrong with some of them.
//!
//! A stream takes 32 bytes and its share of a hash table. Where all streams together would take more than is allowed, half of
//! them are left for a later pass: see [`Streams::narrow`].

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::names::{Names, SLOTS, StreamKey};
use super::report::{AuditTotals, Flaw, Occurrence};
use crate::consumer::sequences::Place;

/// The most streams of which more than the count is kept.
const MAX_FLAWED: usize = 100_000;

/// A stream in a partition, as it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) sequence: u64,
    /// How many offsets below its latest record were not read: they were deleted, compacted, or come before the audit's start.
    pub(super) unread: u64,
    pub(super) epoch: u32,
    /// A hash of its latest event's id.
    pub(super) event: u32,
}

/// What is known of the streams whose hash falls into one slot.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) seen: HashMap<u64, Seen, BuildHasherDefault<Hashed>>,
    pub(super) flaws: FxHashMap<u64, Flaw>,
    /// What the flaws take beside their table.
    flaw_bytes: usize,
    /// How far the epochs of a stream went that are over.
    pub(super) former: FxHashMap<(u64, u32), u64>,
    /// Of these only `events`, `deleted`, and the counts of flaws that are not kept.
    pub(super) totals: AuditTotals,
    pub(super) unlisted: u64,
}

impl Slot {
    fn bytes(&self) -> usize {
        table_bytes(self.seen.capacity(), size_of::<(u64, Seen)>())
            + table_bytes(self.flaws.capacity(), size_of::<(u64, Flaw)>())
            + self.flaw_bytes
            + table_bytes(self.former.capacity(), size_of::<((u64, u32), u64)>())
    }
}

/// All streams of one pass.
#[derive(Debug)]
pub(super) struct Streams {
    names: Names,
    slots: Vec<Slot>,
    range: Range<u16>,
    flawed: usize,
}

/// A record of a stream, and where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting<'a> {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// How many offsets below were not read.
    pub(super) unread: u64,
    pub(super) place: Place<'a>,
}

/// The streams do not fit into the memory allowed, whatever is left for later.
#[derive(Debug)]
pub(super) struct OutOfMemory;

impl Streams {
    /// None yet, of the slots of `range`.
    pub(super) fn new(names: Names, range: Range<u16>) -> Self {
        Self { names, slots: (0..SLOTS).map(|_| Slot::default()).collect(), range, flawed: 0 }
    }

    pub(super) fn names(&self) -> Names {
        self.names
    }

    pub(super) fn range(&self) -> Range<u16> {
        self.range.clone()
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Put back a slot as it was saved.
    pub(super) fn restore(&mut self, number: u8, mut slot: Slot) {
        self.flawed += slot.flaws.len();
        slot.flaw_bytes = slot.flaws.values().map(Flaw::bytes).sum();
        self.slots[usize::from(number)] = slot;
    }

    pub(super) fn covers(&self, stream: StreamKey) -> bool {
        self.range.contains(&u16::from(stream.slot))
    }

    pub(super) fn slot(&self, key: StreamKey) -> &Slot {
        &self.slots[usize::from(key.slot)]
    }

    pub(super) fn seen(&self, key: StreamKey) -> Option<&Seen> {
        self.slot(key).seen.get(&key.rest)
    }

    /// About how many bytes all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.iter().map(Slot::bytes).sum()
    }

    /// Leave half of the streams for a later pass.
    pub(super) fn narrow(&mut self) -> Result<(), OutOfMemory> {
        let middle = self.range.start + (self.range.end - self.range.start) / 2;
        if middle == self.range.start {
            return Err(OutOfMemory);
        }
        for number in middle..self.range.end {
            let slot = std::mem::take(&mut self.slots[usize::from(number)]);
            self.flawed -= slot.flaws.len();
        }
        self.range.end = middle;
        Ok(())
    }

    /// A record was read.
    pub(super) fn see(&mut self, sighting: Sighting<'_>) {
        let Sighting { partition, unread, place, .. } = sighting;
        let Place { epoch, sequence, .. } = place;
        let stream = self.names.stream(place.stream);
        if !self.covers(stream) {
            return;
        }
        let key = stream.in_partition(partition);
        let now = Seen { sequence, unread, epoch, event: self.names.event(place.event_id) };
        let slot = &mut self.slots[usize::from(key.slot)];
        slot.totals.events += 1;
        let Some(before) = slot.seen.get_mut(&key.rest) else {
            slot.seen.insert(key.rest, now);
            // Where something was deleted before it, its beginning may have been. A new epoch begins where it likes.
            if unread == 0 && epoch == 0 && sequence > 1 {
                self.flaw(key, sighting, |flaw| {
                    flaw.headless = true;
                    flaw.miss(0, 1, sequence - 1);
                });
            }
            return;
        };
        let latest = *before;
        match (epoch, sequence).cmp(&(latest.epoch, latest.sequence)) {
            Ordering::Greater => {
                *before = now;
                if epoch > latest.epoch {
                    slot.former.insert((key.rest, latest.epoch), latest.sequence);
                } else {
                    self.gap(key, sighting, latest);
                }
            }
            Ordering::Equal if now.event != latest.event => self.flaw(key, sighting, |flaw| flaw.forked += 1),
            Ordering::Equal => self.flaw(key, sighting, |flaw| flaw.repeated += 1),
            Ordering::Less => self.late(key, sighting, epoch < latest.epoch),
        }
    }

    /// Of its epoch, later than all that came before.
    fn gap(&mut self, key: StreamKey, sighting: Sighting<'_>, latest: Seen) {
        let Place { epoch, sequence, .. } = sighting.place;
        let missing = sequence - latest.sequence - 1;
        if missing == 0 {
            return;
        }
        // No more can have been deleted of the stream than was of the partition.
        if missing <= sighting.unread.saturating_sub(latest.unread) {
            self.slots[usize::from(key.slot)].totals.deleted += missing;
        } else {
            self.flaw(key, sighting, |flaw| flaw.miss(epoch, latest.sequence + 1, sequence - 1));
        }
    }

    /// Behind a later one: it was missing until now, or it comes again.
    fn late(&mut self, key: StreamKey, sighting: Sighting<'_>, is_former: bool) {
        let Place { epoch, sequence, .. } = sighting.place;
        let slot = &mut self.slots[usize::from(key.slot)];
        let mut beyond = false;
        if is_former {
            // An epoch that was over: what goes beyond it was never seen.
            let end = slot.former.entry((key.rest, epoch)).or_default();
            beyond = sequence > *end;
            *end = sequence.max(*end);
        }
        self.flaw(key, sighting, |flaw| {
            if beyond || flaw.arrive(epoch, sequence) {
                flaw.out_of_order += 1;
            } else {
                flaw.repeated += 1;
            }
        });
    }

    fn flaw(&mut self, key: StreamKey, sighting: Sighting<'_>, change: impl FnOnce(&mut Flaw)) {
        let Sighting { partition, offset, place, .. } = sighting;
        let slot = &mut self.slots[usize::from(key.slot)];
        if let Some(flaw) = slot.flaws.get_mut(&key.rest) {
            let before = flaw.bytes();
            alter(flaw, place, offset, change);
            slot.flaw_bytes += flaw.bytes().saturating_sub(before);
            return;
        }
        let mut flaw = Flaw::new(partition, place.stream);
        alter(&mut flaw, place, offset, change);
        if self.flawed < MAX_FLAWED {
            self.flawed += 1;
            slot.flaw_bytes += flaw.bytes();
            slot.flaws.insert(key.rest, flaw);
            return;
        }
        slot.unlisted += 1;
        slot.totals.add(&AuditTotals {
            missing: flaw.missing.count(),
            repeated: flaw.repeated,
            out_of_order: flaw.out_of_order,
            forked: flaw.forked,
            ..AuditTotals::default()
        });
    }
}

fn alter(flaw: &mut Flaw, place: Place<'_>, offset: i64, change: impl FnOnce(&mut Flaw)) {
    let count = |flaw: &Flaw| flaw.repeated + flaw.out_of_order + flaw.forked;
    let before = count(flaw);
    change(flaw);
    if before == 0 && count(flaw) > 0 {
        flaw.first = Some(Occurrence { epoch: place.epoch, sequence: place.sequence, offset });
    }
}

/// The bytes of a hash table with room for `capacity` entries of `size` bytes.
const fn table_bytes(capacity: usize, size: usize) -> usize {
    // A table is filled to seven eighths, and keeps a byte for each place.
    capacity / 7 * 8 * (size + 1)
}

/// For keys that are hashes.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only whole numbers are hashed; anything else is folded together.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
