//! Gives out positions: one replica at a time, after the commit.
//!
//! Ids are given out before the commit, so a reader that follows them loses what commits late. Here one replica, which holds a
//! lease, looks for committed events without a position and numbers them 1, 2, 3 and so on, in a transaction that raises the
//! last position only from where this replica left it: one that has lost its lease and does not know fails, and numbers nothing.
//! An operator raises the last position after a restore; the numbers go on from there.

use std::fmt::Write as _;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::Instant;

use super::event::Place;
use super::lane::SILENCE;
use super::passed::{Look, Passed};
use super::tables::narrow;
use crate::database::Failure;
use crate::database::bounded::within;
use crate::database::pool::Pool;
use crate::database::sql::push_list;
use crate::fault_point;
use crate::outbox::{KeyList, KeyLists};
use crate::telemetry::names;

/// The most positions given out in one transaction.
const AT_ONCE: usize = 1_000;
/// How many more are looked at: predecessors that a first look did not show.
const MORE: usize = 200;
/// How much rarer an idle sequencer looks, compared with one that has just found something.
const IDLE_FACTOR: u32 = 5;
/// How often a replica that gives out no positions looks for new ones, compared with the lease's time.
const CLAIMS_A_TTL: u32 = 3;

/// A replica's sequencer: it waits for the lease, and gives out positions while it has it.
pub(super) struct Sequencer {
    pub(super) pool: Pool,
    pub(super) keys: KeyLists,
    /// A UUID made when the replica starts.
    pub(super) owner: String,
    pub(super) ttl: Duration,
    pub(super) poll: Duration,
    /// The last position known here.
    pub(super) head: watch::Sender<u64>,
    /// Changes when this replica has appended.
    pub(super) appended: watch::Receiver<u64>,
    /// How many subscriptions wait for positions here.
    pub(super) subscriptions: watch::Receiver<usize>,
}

/// The lease, and the last position given out under it.
struct Held {
    epoch: i64,
    position: u64,
    renew_at: Instant,
    passed: Passed,
}

impl Sequencer {
    /// Run until `stop` says so; then give the lease back.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut held: Option<Held> = None;
        let mut pause = self.poll;
        let mut claim_at = Instant::now();
        while !*stop.borrow() {
            match within(SILENCE, self.turn(&mut held, &mut claim_at)).await {
                // There may be more.
                Ok(found) if found > 0 && held.is_some() => {
                    pause = self.poll;
                    continue;
                }
                Ok(found) if found > 0 => pause = self.poll,
                Ok(_) => pause = (pause * 2).min(self.poll * IDLE_FACTOR),
                Err(error) => {
                    tracing::warn!(%error, "no positions could be given out");
                    held = None;
                    pause = self.poll * IDLE_FACTOR;
                    claim_at = Instant::now() + pause;
                }
            }
            let waits = *self.subscriptions.borrow_and_update() > 0;
            // Who has no lease, and nobody who waits, only looks whether the lease is free.
            let until = if held.is_none() && !waits { claim_at } else { Instant::now() + pause };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                changed = self.appended.changed(), if held.is_some() => if changed.is_err() { break },
                changed = self.subscriptions.changed() => if changed.is_err() { break },
                () = tokio::time::sleep_until(until) => {}
            }
        }
        if let Some(held) = held
            && let Err(error) = self.release(held).await
        {
            tracing::debug!(%error, "the sequencer's lease could not be given back; others wait until it ends");
        }
    }

    /// Give out positions, or see what another replica gave out. How many.
    async fn turn(&mut self, held: &mut Option<Held>, claim_at: &mut Instant) -> Result<usize, sqlx::Error> {
        let now = Instant::now();
        if held.is_none() && now >= *claim_at {
            *held = self.claim().await?;
            *claim_at = now + self.ttl / CLAIMS_A_TTL;
            if let Some(held) = held.as_ref() {
                tracing::info!(epoch = held.epoch, position = held.position, "this replica gives out positions now");
                self.see(held.position);
            }
        }
        // Whatever fails leaves nobody with it: what was known may be true of another server.
        let Some(mut lease) = held.take() else {
            let before = *self.head.borrow();
            if *self.subscriptions.borrow() == 0 {
                return Ok(0);
            }
            let position = last_position(&self.pool).await?;
            self.see(position);
            return Ok(usize::try_from(position.saturating_sub(before)).unwrap_or(usize::MAX));
        };
        self.appended.borrow_and_update();
        // What is left comes at the next turn, which is at once: between turns it is looked who wants this one to end.
        let (mark, until) = lease.passed.begin();
        let look = self.unnumbered(mark).await?;
        let given = look.events.len();
        if given > 0 {
            if !self.number(&mut lease, &look.events).await? {
                tracing::warn!("another replica gives out positions now");
                return Ok(0);
            }
            self.see(lease.position);
        }
        lease.passed.numbered(until, &look);
        lease.passed.ask(&self.pool).await?;
        if now >= lease.renew_at {
            if !self.renew(&lease).await? {
                return Ok(given);
            }
            lease.renew_at = now + self.ttl / CLAIMS_A_TTL;
        }
        *held = Some(lease);
        Ok(given)
    }

    fn see(&self, position: u64) {
        self.head.send_if_modified(|head| {
            let is_new = position > *head;
            *head = position.max(*head);
            is_new
        });
        metrics::gauge!(names::STORE_POSITION).set(position as f64);
    }

    /// Take the lease where nobody holds it.
    async fn claim(&self) -> Result<Option<Held>, sqlx::Error> {
        let (me, until) = (self.me(), self.until());
        let now = self.pool.dialect().now();
        let claimed = self
            .pool
            .execute_within(
                SILENCE,
                format!(
                    "UPDATE tidings_store_sequencer SET owner = {me}, epoch = epoch + 1, expires_at = {until} \
                     WHERE id = 1 AND (owner IS NULL OR owner = {me} OR expires_at <= {now})"
                ),
            )
            .await?;
        if claimed == 0 {
            return Ok(None);
        }
        let sql = format!("SELECT epoch, position FROM tidings_store_sequencer WHERE owner = {me}");
        let rows = self.pool.query_within(SILENCE, sql).await?;
        // It may have been taken in between, by a clock that jumped.
        let Some(row) = rows.first() else { return Ok(None) };
        let renew_at = Instant::now() + self.ttl / CLAIMS_A_TTL;
        let (epoch, position) = (row.integer(0)?, narrow(row.integer(1)?)?);
        Ok(Some(Held { epoch, position, renew_at, passed: Passed::new() }))
    }

    async fn renew(&self, held: &Held) -> Result<bool, sqlx::Error> {
        let (me, until, epoch) = (self.me(), self.until(), held.epoch);
        let sql = format!(
            "UPDATE tidings_store_sequencer SET expires_at = {until} WHERE id = 1 AND owner = {me} AND epoch = {epoch}"
        );
        Ok(self.pool.execute_within(SILENCE, sql).await? > 0)
    }

    async fn release(&self, held: Held) -> Result<(), sqlx::Error> {
        let (me, epoch, now) = (self.me(), held.epoch, self.pool.dialect().now());
        let sql = format!(
            "UPDATE tidings_store_sequencer SET owner = NULL, expires_at = {now} \
             WHERE id = 1 AND owner = {me} AND epoch = {epoch}"
        );
        self.pool.execute_within(SILENCE, sql).await.map(drop)
    }

    /// Committed events without a position, in the order to number them.
    ///
    /// Two looks: a snapshot is not always taken in one moment, and MariaDB's may show an event without its predecessor. What the
    /// first look shows was committed before the second began, and so was everything before it in its stream.
    ///
    /// Nothing up to `mark` is looked at.
    async fn unnumbered(&self, mark: u64) -> Result<Look, sqlx::Error> {
        let sql = format!(
            "SELECT 0, event FROM tidings_store_pending WHERE event > {mark} ORDER BY event LIMIT {AT_ONCE};\
             SELECT 1, p.event, e.source, e.stream, e.epoch, e.sequence FROM tidings_store_pending p \
             JOIN tidings_store_event e ON e.id = p.event WHERE p.event > {mark} ORDER BY p.event LIMIT {}",
            AT_ONCE + MORE
        );
        let mut seen_first = Vec::new();
        let mut seen = Vec::new();
        for row in self.pool.query_within(SILENCE, sql).await? {
            let event: u64 = narrow(row.integer(1)?)?;
            if row.integer(0)? == 0 {
                seen_first.push(event);
            } else {
                let place = Place { epoch: narrow(row.integer(4)?)?, sequence: narrow(row.integer(5)?)? };
                seen.push(Seen { event, stream: (row.text(2)?, row.text(3)?), place });
            }
        }
        let end = seen.last().map(|seen| seen.event).filter(|_| seen.len() >= AT_ONCE + MORE);
        Ok(Look { end, ..admit(&seen_first, &seen) })
    }

    /// Number `events` behind the last position. False where the lease is somebody else's.
    async fn number(&self, held: &mut Held, events: &[u64]) -> Result<bool, sqlx::Error> {
        let (me, until) = (self.me(), self.until());
        let Held { epoch, position, .. } = *held;
        let last = position + events.len() as u64;
        let mut positions = "INSERT INTO tidings_store_position (position, event) VALUES ".to_owned();
        for (index, event) in events.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a `String` cannot fail.
            let _ = write!(positions, "{comma}({},{event})", position + 1 + index as u64);
        }
        let position = format!(
            "UPDATE tidings_store_sequencer SET position = CASE WHEN owner = {me} AND epoch = {epoch} AND \
             position = {position} THEN {last} ELSE -1 END, expires_at = {until} WHERE id = 1"
        );
        fault_point::reach("before positions");
        let mut list = self.keys.first();
        let result = loop {
            let statements = vec![position.clone(), positions.clone(), deletion(list, events)];
            let result = self.pool.run_transaction(statements).await;
            match self.keys.after(list, &result) {
                Some(plainer) => list = plainer,
                None => break result,
            }
        };
        match result {
            Ok(()) => {
                fault_point::reach("after positions");
                held.position = last;
                held.renew_at = Instant::now() + self.ttl / CLAIMS_A_TTL;
                Ok(true)
            }
            Err(error) if Failure::of(&error) == Failure::Check => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn me(&self) -> String {
        self.pool.dialect().text(&self.owner)
    }

    fn until(&self) -> String {
        self.pool.dialect().now_plus(i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX / 1_000))
    }
}

/// A statement that deletes exactly `events`, which have their positions: no range, and no look at what is held by others.
fn deletion(list: KeyList, events: &[u64]) -> String {
    let mut ids = String::new();
    push_list(&mut ids, events);
    match list {
        #[cfg(feature = "mysql")]
        KeyList::Joined => format!(
            "DELETE tidings_store_pending FROM JSON_TABLE('[{ids}]', '$[*]' COLUMNS (event BIGINT UNSIGNED PATH '$')) k \
             STRAIGHT_JOIN tidings_store_pending FORCE INDEX (PRIMARY) ON tidings_store_pending.event = k.event"
        ),
        KeyList::Plain => format!("DELETE FROM tidings_store_pending WHERE event IN ({ids})"),
    }
}

/// The last position given out.
pub(super) async fn last_position(pool: &Pool) -> Result<u64, sqlx::Error> {
    let sql = "SELECT position FROM tidings_store_sequencer WHERE id = 1".to_owned();
    let rows = pool.query_within(SILENCE, sql).await?;
    rows.first().map_or(Ok(0), |row| narrow(row.integer(0)?))
}

/// An event that the second look shows.
struct Seen {
    event: u64,
    stream: (String, String),
    place: Place,
}

/// Which events may be numbered: those of the first look, and what is before them in their streams.
fn admit(seen_first: &[u64], seen: &[Seen]) -> Look {
    let mut last: FxHashMap<&(String, String), Place> = FxHashMap::default();
    for seen in seen.iter().filter(|seen| seen_first.binary_search(&seen.event).is_ok()) {
        let last = last.entry(&seen.stream).or_insert(seen.place);
        *last = seen.place.max(*last);
    }
    let (admitted, left): (Vec<&Seen>, _) =
        seen.iter().partition(|seen| last.get(&seen.stream).is_some_and(|last| seen.place <= *last));
    let events = admitted.into_iter().map(|seen| seen.event).collect();
    Look { events, left: left.first().map(|seen| seen.event), end: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(event: u64, stream: &str, sequence: u64) -> Seen {
        Seen { event, stream: ("/a".to_owned(), stream.to_owned()), place: Place { epoch: 0, sequence } }
    }

    fn look(events: &[u64], left: Option<u64>) -> Look {
        Look { events: events.to_vec(), left, end: None }
    }

    #[test]
    fn an_event_that_a_torn_look_shows_without_its_predecessor_is_numbered_behind_it() {
        // The first look missed 1; the second shows it.
        assert_eq!(admit(&[2], &[seen(1, "s", 1), seen(2, "s", 2)]), look(&[1, 2], None));
    }

    #[test]
    fn an_event_that_only_the_second_look_shows_waits_for_the_next() {
        assert_eq!(admit(&[1], &[seen(1, "s", 1), seen(2, "s", 2), seen(3, "t", 7)]), look(&[1], Some(2)));
    }

    #[test]
    fn an_event_that_another_has_numbered_between_the_looks_is_left() {
        assert_eq!(admit(&[1, 2], &[seen(2, "s", 2)]), look(&[2], None));
    }
}
