//! serde's attributes are understood.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "4.0.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts", "fields": [
        {"name": "userId", "type": "long"},
        {"name": "nick", "type": ["null", "string"], "default": null},
        {"name": "tier", "type": {"type": "enum", "name": "Tier", "symbols": ["FREE", "PAID"], "default": "FREE"}},
        {"name": "earlierTiers", "type": {"type": "array", "items": "Tier"}},
        {"name": "scores", "type": {"type": "map", "values":
            {"type": "record", "name": "Score", "fields": [{"name": "points", "type": "int"}]}}, "default": {}},
        {"name": "bestScore", "type": ["null", "accounts.Score"], "default": null},
        {"name": "since", "type": {"type": "long", "logicalType": "timestamp-micros"}, "default": 0},
        {"name": "balance", "type": "string"},
        {"name": "motto", "type": ["null", "string"], "default": null}
    ]
}"#)]
#[serde(rename = "UserUpdated", rename_all = "camelCase", deny_unknown_fields)]
struct UserUpdatedV4 {
    #[event(key)]
    user_id: i64,
    #[serde(rename = "nick", default, alias = "nickname")]
    nickname: Option<String>,
    tier: Tier,
    earlier_tiers: Vec<Tier>,
    scores: HashMap<String, Score>,
    best_score: Maybe<Score>,
    since: i64,
    // Written by a function, so its type is nobody's business.
    #[serde(with = "as_text")]
    balance: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    motto: Option<String>,
    // Not written, so not in the schema.
    #[serde(skip)]
    cache: Option<u64>,
}

type Maybe<T> = Option<T>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Tier {
    Free,
    Paid,
}

#[derive(Serialize, Deserialize)]
struct Score {
    points: i32,
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn main() {
    let event = UserUpdatedV4 {
        user_id: 1,
        nickname: None,
        tier: Tier::Free,
        earlier_tiers: vec![Tier::Paid],
        scores: HashMap::from([("chess".to_owned(), Score { points: 3 })]),
        best_score: Some(Score { points: 3 }),
        since: 0,
        balance: u128::MAX,
        motto: None,
        cache: Some(u64::MAX),
    };
    assert_eq!(event.key(), "1");
    assert!(event.nickname.is_none() && event.cache.is_some() && event.since == 0 && event.motto.is_none());
    assert!(event.best_score.is_some_and(|best| best.points == event.scores["chess"].points));
    assert!(matches!((event.tier, event.earlier_tiers.as_slice()), (Tier::Free, [Tier::Paid])));
    assert_eq!(event.balance, u128::MAX);
}
