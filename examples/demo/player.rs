//! A player: the entity, and what may happen to it.

use tidings::database::Entity;

use crate::events::{NicknameChanged, ScoreChanged, UserRegistered};

/// A player, as the service `accounts` keeps it.
#[derive(Entity, Debug, Clone, PartialEq, Eq)]
#[entity(table = "demo_player")]
pub struct Player {
    #[entity(key)]
    pub id: i64,
    pub nickname: String,
    pub score: i64,
    /// How often it has changed, as its events tell.
    pub revision: i64,
}

/// What may happen to a player. Pure: from a player and a wish to a changed player and the event that says so.
impl Player {
    pub fn register(id: i64, nickname: String) -> (Self, UserRegistered) {
        let player = Self { id, nickname, score: 0, revision: 1 };
        let event = UserRegistered { user_id: id, nickname: player.nickname.clone(), revision: 1 };
        (player, event)
    }

    pub fn rename(self, nickname: String) -> (Self, NicknameChanged) {
        let player = Self { nickname, revision: self.revision + 1, ..self };
        let event =
            NicknameChanged { user_id: player.id, nickname: player.nickname.clone(), revision: player.revision };
        (player, event)
    }

    pub fn award(self, points: i64, season: &str) -> (Self, ScoreChanged) {
        let player = Self { score: self.score + points, revision: self.revision + 1, ..self };
        let event = ScoreChanged {
            user_id: player.id,
            score: player.score,
            points,
            season: Some(season.to_owned()),
            revision: player.revision,
        };
        (player, event)
    }
}

/// The table; this text is understood by MySQL and by SQLite.
pub const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS demo_player (id BIGINT NOT NULL PRIMARY KEY, \
    nickname VARCHAR(64) NOT NULL, score BIGINT NOT NULL, revision BIGINT NOT NULL, version BIGINT NOT NULL)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_raises_the_revision_by_one_and_its_event_says_so() {
        let (player, registered) = Player::register(7, "Ada".to_owned());
        let (player, renamed) = player.rename("Bob".to_owned());
        let (player, won) = player.award(30, "spring");
        assert_eq!((registered.revision, renamed.revision, won.revision), (1, 2, 3));
        assert_eq!(player, Player { id: 7, nickname: "Bob".to_owned(), score: 30, revision: 3 });
    }
}
