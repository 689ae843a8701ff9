//! What the service `accounts` publishes: its contract with whoever listens.

use serde::{Deserialize, Serialize};
use tidings::Event;

/// A player signed up.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.UserRegistered", version = "1.0.0", entity = "Player")]
#[event(schema = "schemas/accounts/UserRegistered.avsc")]
pub struct UserRegistered {
    #[event(key)]
    pub user_id: i64,
    pub nickname: String,
    pub revision: i64,
}

/// A player goes by another name.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.NicknameChanged", version = "1.0.0", entity = "Player")]
#[event(schema = "schemas/accounts/NicknameChanged.avsc")]
pub struct NicknameChanged {
    #[event(key)]
    pub user_id: i64,
    pub nickname: String,
    pub revision: i64,
}

/// A player won points.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.ScoreChanged", version = "2.1.0", entity = "Player")]
#[event(schema = "schemas/accounts/ScoreChanged.avsc")]
pub struct ScoreChanged {
    #[event(key)]
    pub user_id: i64,
    pub score: i64,
    pub points: i64,
    pub season: Option<String>,
    pub revision: i64,
}

/// A player won points, as builds from before the seasons say it.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.ScoreChanged", version = "1.4.0", entity = "Player")]
#[event(schema = "schemas/accounts/released/ScoreChanged/1.4.0.avsc")]
#[serde(rename = "ScoreChanged")]
pub struct ScoreChangedV1 {
    #[event(key)]
    pub user_id: i64,
    pub score: i64,
    pub revision: i64,
}
