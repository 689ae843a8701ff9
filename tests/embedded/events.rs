//! The events these tests publish.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NicknameChanged {
    pub(crate) user_id: i64,
    pub(crate) nickname: String,
}

impl Event for NicknameChanged {
    const NAME: &'static str = "accounts.NicknameChanged";
    const VERSION: &'static str = "1.2.0";
    const SCHEMA: &'static str = r#"{
        "type": "record", "name": "NicknameChanged", "namespace": "accounts",
        "fields": [{"name": "user_id", "type": "long"}, {"name": "nickname", "type": "string"}]
    }"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        self.user_id.to_string().into()
    }
}

impl NicknameChanged {
    pub(crate) fn of(user_id: i64) -> Self {
        Self { user_id, nickname: format!("player {user_id}") }
    }
}
