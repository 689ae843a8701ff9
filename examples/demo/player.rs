//! A player: the entity, and what may happen to it.

use tidings::database::sqlx;
use tidings::database::{Connection, Entity, Saved, Versioned};

use crate::events::{NicknameChanged, ScoreChanged, UserRegistered};

/// A player, as the service `accounts` keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    pub id: i64,
    pub nickname: String,
    pub score: i64,
    /// How often it has changed; the version that two writers notice each other by.
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
pub const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS demo_player (
    id BIGINT NOT NULL PRIMARY KEY, nickname VARCHAR(64) NOT NULL, score BIGINT NOT NULL, revision BIGINT NOT NULL)";

const SELECT: &str = "SELECT nickname, score, revision FROM demo_player WHERE id = ?";
const INSERT: &str = "INSERT INTO demo_player (nickname, score, revision, id) VALUES (?, ?, ?, ?)";
const UPDATE: &str = "UPDATE demo_player SET nickname = ?, score = ?, revision = ? WHERE id = ? AND revision = ?";

/// How it is read and written. The demo runs on either database, so each statement is there twice; a service has one.
impl Entity for Player {
    type Key = i64;

    fn key(&self) -> &i64 {
        &self.id
    }

    async fn load(connection: Connection<'_>, id: &i64) -> Result<Option<Versioned<Self>>, sqlx::Error> {
        let row: Option<(String, i64, i64)> = match connection {
            Connection::MySql(mysql) => sqlx::query_as(SELECT).bind(id).fetch_optional(mysql).await?,
            Connection::Sqlite(sqlite) => sqlx::query_as(SELECT).bind(id).fetch_optional(sqlite).await?,
            other => return Err(unknown_kind(&other)),
        };
        Ok(row.map(|(nickname, score, revision)| Versioned {
            entity: Self { id: *id, nickname, score, revision },
            version: revision.unsigned_abs(),
        }))
    }

    async fn save(&self, connection: Connection<'_>, expected: Option<u64>) -> Result<Saved, sqlx::Error> {
        let Self { id, nickname, score, revision } = self;
        let statement = if expected.is_some() { UPDATE } else { INSERT };
        let rows = match connection {
            Connection::MySql(mysql) => {
                let query = sqlx::query(statement).bind(nickname).bind(score).bind(revision).bind(id);
                let query = expected.into_iter().fold(query, |query, version| query.bind(version.cast_signed()));
                query.execute(mysql).await?.rows_affected()
            }
            Connection::Sqlite(sqlite) => {
                let query = sqlx::query(statement).bind(nickname).bind(score).bind(revision).bind(id);
                let query = expected.into_iter().fold(query, |query, version| query.bind(version.cast_signed()));
                query.execute(sqlite).await?.rows_affected()
            }
            other => return Err(unknown_kind(&other)),
        };
        Ok(Saved::if_one_row(rows))
    }
}

fn unknown_kind(connection: &Connection<'_>) -> sqlx::Error {
    sqlx::Error::Configuration(format!("the demo has no statements for {}", connection.kind()).into())
}

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
