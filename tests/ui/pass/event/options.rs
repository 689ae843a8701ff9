//! The constants, the key and the stream.

use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    nickname: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "com.example.guilds.MemberJoined", version = "2.0.0-rc.1", entity = "Guild")]
#[event(schema_inline = r#"{"type": "record", "name": "com.example.guilds.MemberJoined", "fields": [
    {"name": "member", "type": "string"}, {"name": "guild", "type": "int"}
]}"#)]
struct MemberJoined {
    #[event(key)]
    member: String,
    #[event(entity_id)]
    r#guild: i32,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "guilds.GuildFounded", version = "1.0.0", entity = "Guild", schema_inline = "{
    \"type\": \"record\", \"name\": \"GuildFounded\", \"namespace\": \"guilds\", \"fields\": [{\"name\": \"guild\", \"type\": \"int\"}]
}")]
struct GuildFounded {
    #[event(key, entity_id)]
    guild: i32,
}

fn main() {
    assert_eq!(
        (UserUpdated::NAME, UserUpdated::VERSION, UserUpdated::ENTITY),
        ("accounts.UserUpdated", "1.3.0", "accounts")
    );
    assert_eq!(UserUpdated::SCHEMA, include_str!("../../schemas/accounts/UserUpdated.avsc"));
    let updated = UserUpdated { user_id: -42, nickname: "Ada".to_owned() };
    assert_eq!((updated.key().as_ref(), updated.stream().as_str()), ("-42", "accounts/-42"));
    assert_eq!(updated.nickname, "Ada");

    assert_eq!((MemberJoined::ENTITY, MemberJoined::VERSION), ("Guild", "2.0.0-rc.1"));
    let joined = MemberJoined { member: "ada".to_owned(), guild: 7 };
    assert_eq!((joined.key().as_ref(), joined.stream().as_str()), ("ada", "Guild/7"));
    assert_eq!(GuildFounded { guild: 3 }.stream().as_str(), "Guild/3");
}
