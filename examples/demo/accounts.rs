//! The service `accounts`: changes players, and publishes what happened in the same transaction.

use tidings::database::{self, Database, Transaction};

use crate::events::ScoreChangedV1;
use crate::player::Player;

/// The season that points count for.
const SEASON: &str = "spring";

/// The service.
#[derive(Debug, Clone)]
pub struct Accounts {
    database: Database,
    release: Release,
}

/// Which build of the service this is: while one is rolled out, two run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Publishes version 2 of `ScoreChanged`.
    Current,
    /// Publishes version 1 of `ScoreChanged`, from before the seasons.
    Previous,
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error("there is no player {0}")]
    UnknownPlayer(i64),
    #[error("player {0} is registered already")]
    Registered(i64),
    #[error("the change was not made")]
    Database(#[from] database::Error),
}

impl Accounts {
    pub fn new(database: Database, release: Release) -> Self {
        Self { database, release }
    }

    pub async fn register(&self, user_id: i64, nickname: &str) -> Result<Player, AccountsError> {
        self.database
            .atomically(&user_id, async |tx: Transaction, player: Option<Player>| {
                if player.is_some() {
                    return Err(AccountsError::Registered(user_id));
                }
                let (player, event) = Player::register(user_id, nickname.to_owned());
                tx.save(&player);
                tx.publish(&event);
                Ok(player)
            })
            .await
    }

    pub async fn rename(&self, user_id: i64, nickname: &str) -> Result<Player, AccountsError> {
        self.database
            .atomically(&user_id, async |tx: Transaction, player: Option<Player>| {
                let player = player.ok_or(AccountsError::UnknownPlayer(user_id))?;
                let (player, event) = player.rename(nickname.to_owned());
                tx.save(&player);
                tx.publish(&event);
                Ok(player)
            })
            .await
    }

    pub async fn award(&self, user_id: i64, points: i64) -> Result<Player, AccountsError> {
        self.database
            .atomically(&user_id, async |tx: Transaction, player: Option<Player>| {
                let player = player.ok_or(AccountsError::UnknownPlayer(user_id))?;
                let (player, event) = player.award(points, SEASON);
                tx.save(&player);
                match self.release {
                    Release::Current => tx.publish(&event),
                    Release::Previous => {
                        tx.publish(&ScoreChangedV1 { user_id, score: event.score, revision: event.revision });
                    }
                }
                Ok(player)
            })
            .await
    }
}
