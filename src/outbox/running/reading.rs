//! Reading rows, and telling which may be published.

use futures_util::FutureExt as _;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{Running, SUSPECT_ROWS};
use crate::database::bounded::within;
use crate::fault_point;
use crate::outbox::row::{OutboxRow, RowId};
use crate::outbox::table::{Fetch, Snapshot};
use crate::outbox::wake::BucketSet;

impl Running {
    pub(super) fn may_fetch(&self) -> bool {
        self.fetching.is_none()
            && self.producer.is_some()
            && self.purging_until.is_none()
            && self.stopping.is_none()
            && !self.readable().is_empty()
            && (self.suspects.is_empty() || !self.pipeline.has_any())
            && self.pipeline.has_room(self.options.max_in_flight_rows, self.options.max_in_flight_bytes)
    }

    pub(super) fn readable(&self) -> BucketSet {
        self.owned.without(self.leaving)
    }

    pub(super) fn start_fetching(&mut self, now: Instant) {
        if !self.may_fetch() {
            return;
        }
        self.choose_left_out(now);
        let readable = self.readable();
        let woken = self.woken.and(readable);
        let all = now >= self.poll_at;
        if !all && woken.is_empty() {
            return;
        }
        self.announced = self.woken;
        self.woken = BucketSet::EMPTY;
        if all {
            self.settled.forget_what_is_due(now);
        }
        let buckets = if !self.suspects.is_empty() {
            // Nothing else until these are cleared: each goes alone.
            self.suspects.iter().map(|row| row.bucket).collect::<BucketSet>().and(readable)
        } else if all {
            readable.iter().filter(|bucket| *bucket >= self.scan_from).collect()
        } else {
            woken
        };
        if buckets.is_empty() {
            if all {
                self.suspects.retain(|row| readable.contains(row.bucket));
                self.scan_from = 0;
            }
            return;
        }
        let room = self.options.max_in_flight_rows.saturating_sub(self.pipeline.rows()).max(1);
        let most = if self.suspects.is_empty() { self.options.fetch_rows } else { SUSPECT_ROWS };
        let max_bytes = self.options.max_in_flight_bytes.saturating_sub(self.pipeline.bytes());
        let fetch = Fetch {
            buckets,
            marks: self.settled.marks(buckets),
            until: self.settled.begin_read(),
            targets: self.producers.targets(),
            left_out: self.left_out.clone(),
            except: self.pipeline.known_in(buckets),
            max_rows: self.row_size.rows_within(max_bytes, room.min(most)),
            max_bytes,
        };
        self.deleted_meanwhile.clear();
        let (table, limit) = (self.table.clone(), self.options.database_timeout);
        self.fetching = Some(
            async move {
                let result = within(limit, table.fetch(&fetch)).await;
                (fetch, all, result)
            }
            .boxed(),
        );
    }

    pub(super) fn fetched(&mut self, (fetch, all, result): (Fetch, bool, Result<Snapshot, sqlx::Error>)) {
        let now = Instant::now();
        let Snapshot { mut rows, truncated } = match result {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.poll_at = now + self.fetch_backoff.next();
                self.woken = self.woken.or(fetch.buckets);
                // It may be another server that answers next.
                self.settled.reset();
                tracing::warn!(%error, "the outbox could not be read");
                self.heed(&error);
                return;
            }
        };
        self.fetch_backoff.reset();
        self.row_size.saw(rows.len(), rows.iter().map(OutboxRow::bytes).sum());
        if self.purging_until.is_some() || self.stopping.is_some() {
            return;
        }
        let last = rows.last().map(|row| row.id);
        let readable = self.readable();
        if !truncated && fetch.buckets == readable {
            self.let_holds_end(&rows);
        }
        // The read shows what was held back since it began, and must not count as having shown it.
        for row in rows.extract_if(.., |row| self.is_held_since(row, now)).collect::<Vec<_>>() {
            self.settled.forget(row.id.bucket);
        }
        rows.retain(|row| {
            readable.contains(row.id.bucket)
                && !self.pipeline.knows(row.id)
                && !self.deleted_meanwhile.contains(&row.id)
        });
        self.keep_one_of_tried(&mut rows);
        if !self.suspects.is_empty() && !rows.iter().any(|row| self.suspects.contains(&row.id)) && !truncated {
            // They are gone, or not this relay's any more.
            self.suspects.retain(|row| self.pipeline.knows(*row));
        }
        let found = !rows.is_empty();
        if all {
            let told = self.announced.or(self.woken);
            self.unheard.found(rows.iter().map(|row| row.id.bucket).collect::<BucketSet>().without(told), now);
        }
        self.take(&fetch, rows, last.filter(|_| truncated));

        if truncated {
            // The rest of this one later; the others first.
            self.scan_from = last.map_or(0, |last| last.bucket.wrapping_add(1));
            self.poll_at = now;
        } else if all && self.scan_from > 0 {
            self.scan_from = 0;
            self.poll_at = now;
        } else if all {
            let unheard = self.unheard.looks_often(now);
            let longest = if unheard { self.options.max_poll } else { self.options.idle_poll };
            self.poll_pause = if found && unheard || !self.suspects.is_empty() {
                self.options.min_poll
            } else {
                (self.poll_pause * 2).min(longest)
            };
            self.poll_at = now + self.poll_pause;
        }
    }

    /// Take in what a read has shown that is new; where it was cut short, `last` is where.
    fn take(&mut self, fetch: &Fetch, rows: Vec<OutboxRow>, last: Option<RowId>) {
        for row in &rows {
            self.settled.took(row.id);
        }
        let (behind, free): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| self.pipeline.holds(row));
        for row in &behind {
            self.pipeline.follow(row);
        }
        self.pipeline.read_anew();
        let admitted = self.order.admit(free);

        let mut unknown: FxHashMap<u8, u64> = FxHashMap::default();
        for row in &admitted.waiting {
            let first = unknown.entry(row.bucket).or_insert(row.id);
            *first = row.id.min(*first);
        }
        for bucket in fetch.buckets.and(self.readable()).iter() {
            let covered = match last {
                Some(last) if last.bucket < bucket => break,
                Some(last) if last.bucket == bucket => last.id,
                _ => u64::MAX,
            };
            self.settled.read(bucket, fetch.until, covered, unknown.get(&bucket).copied());
        }
        self.woken = self.woken.or(admitted.waiting.iter().map(|row| row.bucket).collect());
        if !admitted.publish.is_empty() {
            fault_point::reach("after read");
        }
        self.pipeline.push(admitted.publish);
    }
}
