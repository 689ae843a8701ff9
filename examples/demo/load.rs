//! The load: writers who change players at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use rand::RngExt as _;
use tidings::publisher::DeliveryMode;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::accounts::{Accounts, AccountsError};
use crate::arguments::{Share, TIME};
use crate::audit::PlayerIds;

const NAMES: [&str; 8] = ["Ada", "Bo", "Chike", "Dalia", "Emre", "Fen", "Goro", "Hana"];

/// The load on one mode.
#[derive(Debug)]
pub struct Load {
    share: Share,
    players: PlayerIds,
    writers: u64,
    rate: Option<u32>,
    /// Room for events committed and not yet handled.
    room: Arc<Semaphore>,
    committed: Arc<AtomicU64>,
    started: Instant,
    next: AtomicU64,
}

impl Load {
    pub fn new(share: Share, players: PlayerIds, writers: u32, rate: Option<u32>, room: Arc<Semaphore>) -> Self {
        // With fewer players than writers, some would have nobody to write.
        let writers = u64::from(writers).min(share.players).min(share.events.unwrap_or(u64::MAX));
        let (committed, next) = (Arc::default(), AtomicU64::new(0));
        Self { share, players, writers, rate, room, committed, started: Instant::now(), next }
    }

    /// How many transactions have committed.
    pub fn committed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.committed)
    }

    /// Sign up all players, then change them until all events are published; `accounts` are the builds of the service, which
    /// the writers use in turn.
    pub async fn run(&self, accounts: &[Accounts]) -> Result<(), AccountsError> {
        let builds = || (0..self.writers).zip(accounts.iter().cycle());
        try_join_all(builds().map(|(writer, accounts)| self.sign_up(writer, accounts))).await?;
        try_join_all(builds().map(|(writer, accounts)| self.change(writer, accounts))).await?;
        Ok(())
    }

    /// How many players sign up.
    fn signed_up(&self) -> u64 {
        self.share.players.min(self.share.events.unwrap_or(u64::MAX))
    }

    async fn sign_up(&self, writer: u64, accounts: &Accounts) -> Result<(), AccountsError> {
        let mut index = writer;
        while index < self.signed_up() {
            self.turn(index).await;
            accounts.register(self.players.id(index), &format!("{} {index}", name(index))).await?;
            self.committed.fetch_add(1, Ordering::Relaxed);
            index += self.writers;
        }
        Ok(())
    }

    async fn change(&self, writer: u64, accounts: &Accounts) -> Result<(), AccountsError> {
        let changes = self.share.events.map(|events| events - self.signed_up());
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let over = changes.map_or_else(|| self.started.elapsed() >= TIME, |changes| index >= changes);
            if over {
                return Ok(());
            }
            self.turn(self.signed_up() + index).await;
            let player = self.players.id(self.some_player(writer));
            if is_poison(index, self.share.poison, changes) {
                accounts.rename(player, "").await?;
            } else if index.is_multiple_of(5) {
                accounts.rename(player, &format!("{} {index}", name(index))).await?;
            } else {
                accounts.award(player, rand::rng().random_range(1..=100)).await?;
            }
            self.committed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Some player that `writer` may change.
    fn some_player(&self, writer: u64) -> u64 {
        if !matches!(self.share.mode, DeliveryMode::Direct { .. }) {
            // The outbox keeps a player's events in the order of the commits, whoever commits.
            return rand::rng().random_range(0..self.signed_up());
        }
        // Sent straight to Kafka, the event of a second writer's later commit could arrive first: one writer a player.
        let of_this_writer = (self.signed_up() - writer).div_ceil(self.writers);
        writer + rand::rng().random_range(0..of_this_writer) * self.writers
    }

    /// Wait until transaction number `index` may begin.
    async fn turn(&self, index: u64) {
        if let Some(rate) = self.rate {
            let due = Duration::from_nanos(index.saturating_mul(1_000_000_000 / u64::from(rate)));
            tokio::time::sleep_until(self.started + due).await;
        }
        // Given back when the event is handled. The semaphore is never closed.
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
    }
}

fn name(index: u64) -> &'static str {
    NAMES[usize::try_from(index).unwrap_or_default() % NAMES.len()]
}

/// Whether change number `index` is one of `poison` planted ones: every tenth, or closer where they must be.
fn is_poison(index: u64, poison: u64, changes: Option<u64>) -> bool {
    let distance = changes.and_then(|changes| changes.checked_div(poison)).map_or(10, |room| room.clamp(1, 10));
    index.is_multiple_of(distance) && index / distance < poison
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_poison_is_planted_where_there_is_room_for_it() {
        for (poison, changes) in [(0, 10), (1, 10), (3, 10), (10, 10), (7, 1_000)] {
            let planted = (0..changes).filter(|index| is_poison(*index, poison, Some(changes))).count();
            assert_eq!(planted as u64, poison, "{poison} of {changes}");
        }
        assert_eq!((0..100).filter(|index| is_poison(*index, 3, None)).collect::<Vec<_>>(), [0, 10, 20]);
    }

    #[test]
    fn in_direct_mode_each_player_has_one_writer() {
        let share = Share { mode: DeliveryMode::default(), events: Some(100), players: 10, poison: 0 };
        let load = Load::new(share, PlayerIds(0..10), 4, None, Arc::new(Semaphore::new(0)));
        for writer in 0..load.writers {
            for _ in 0..50 {
                let player = load.some_player(writer);
                assert!(player < 10 && player % 4 == writer, "writer {writer} took player {player}");
            }
        }
    }
}
