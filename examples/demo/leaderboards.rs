//! The service `leaderboards`: handles what happens to accounts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings::prelude::*;

use crate::audit::Audit;
use crate::events::{NicknameChanged, ScoreChanged, ScoreChangedV1, UserRegistered};

/// Handles the events of `accounts`.
#[derive(Debug)]
pub struct Leaderboards {
    pub board: Arc<Board>,
    pub ranking: Ranking,
}

#[dispatcher(source = "accounts", retry(max_attempts = 5, initial = "20ms", max = "1s"))]
impl Leaderboards {
    /// Gives a new player a place on the board.
    #[on("accounts.UserRegistered")]
    async fn on_user_registered(&self, event: UserRegistered, audit: Audit) -> Result<()> {
        self.board.change(event.user_id, event.revision, |place| place.nickname = event.nickname);
        audit.handled(event.revision);
        Ok(())
    }

    /// Shows a player under the new name.
    #[on("accounts.NicknameChanged", version = "^1")]
    async fn on_nickname_changed(&self, event: NicknameChanged, audit: Audit) -> Result<()> {
        if event.nickname.is_empty() {
            // It will be empty at the next attempt too: a dead letter, and the player's next event is handled.
            audit.given_up(event.revision);
            return Err(NamelessPlayer(event.user_id)).terminal();
        }
        self.board.change(event.user_id, event.revision, |place| place.nickname = event.nickname);
        audit.handled(event.revision);
        Ok(())
    }

    /// Moves a player up.
    #[on("accounts.ScoreChanged", version = ">=2, <3")]
    async fn on_score_changed(&self, event: ScoreChanged, audit: Audit) -> Result<()> {
        // Fails now and then. The event is handled again after a pause, and only this player's events wait for it.
        self.ranking.submit(event.user_id, event.points)?;
        self.board.change(event.user_id, event.revision, |place| place.score = event.score);
        audit.handled(event.revision);
        Ok(())
    }

    /// Moves a player up whose account is served by a build from before the seasons.
    #[on("accounts.ScoreChanged", version = "^1")]
    async fn on_score_changed_before_seasons(&self, event: ScoreChangedV1, audit: Audit) -> Result<()> {
        self.board.change(event.user_id, event.revision, |place| place.score = event.score);
        audit.handled(event.revision);
        Ok(())
    }
}

/// The players, as `leaderboards` knows them from events alone.
#[derive(Debug, Default)]
pub struct Board {
    places: Mutex<HashMap<i64, Place>>,
}

/// A player's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub nickname: String,
    pub score: i64,
    pub revision: i64,
}

impl Board {
    /// Change a player's place, unless a later change is known: an event may come twice.
    fn change(&self, user_id: i64, revision: i64, change: impl FnOnce(&mut Place)) {
        let mut places = self.places();
        let place = places.entry(user_id).or_default();
        if revision > place.revision {
            place.revision = revision;
            change(place);
        }
    }

    /// A player's place.
    pub fn place(&self, user_id: i64) -> Option<Place> {
        self.places().get(&user_id).cloned()
    }

    fn places(&self) -> MutexGuard<'_, HashMap<i64, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another team's service, which is not always there.
#[derive(Debug, Default)]
pub struct Ranking {
    calls: AtomicU64,
}

impl Ranking {
    /// One call in this many fails.
    const FAILING: u64 = 200;

    fn submit(&self, user_id: i64, _points: i64) -> Result<(), RankingAway> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if calls.is_multiple_of(Self::FAILING) { Err(RankingAway(user_id)) } else { Ok(()) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the ranking service did not take the points of player {0}; the demo makes this happen")]
struct RankingAway(i64);

#[derive(Debug, thiserror::Error)]
#[error("player {0} has an empty name; the demo makes this happen with --poison")]
struct NamelessPlayer(i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_event_changes_nothing() {
        let board = Board::default();
        board.change(7, 1, |place| place.score = 10);
        board.change(7, 2, |place| place.score = 30);
        board.change(7, 1, |place| place.score = 10);
        assert_eq!(board.place(7).map(|place| (place.score, place.revision)), Some((30, 2)));
    }

    #[test]
    fn both_versions_of_an_event_have_a_handler() {
        let routes = Leaderboards::routes();
        let versions: Vec<_> = routes
            .infos()
            .filter(|route| route.event == "accounts.ScoreChanged")
            .map(|route| route.versions.to_string())
            .collect();
        assert_eq!(versions, [">=2, <3", "^1"]);
    }
}
