//! An entity and its event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings::database::sqlx::{self, Row as _};
use tidings::database::{Connection, Entity, Saved, Versioned};

/// The entity's table, in words that all databases know.
pub(crate) const TABLE: &str =
    "CREATE TABLE account (id VARCHAR(64) PRIMARY KEY, nickname VARCHAR(64) NOT NULL UNIQUE, version BIGINT NOT NULL)";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) nickname: String,
}

impl Account {
    pub(crate) fn new(id: &str, nickname: &str) -> Self {
        Self { id: id.to_owned(), nickname: nickname.to_owned() }
    }
}

const LOAD: &str = "SELECT nickname, version FROM account WHERE id = ?";
const LOAD_FOR_UPDATE: &str = "SELECT nickname, version FROM account WHERE id = ? FOR UPDATE";
const INSERT: &str = "INSERT INTO account (nickname, id, version) VALUES (?, ?, 1)";
const UPDATE: &str = "UPDATE account SET nickname = ?, version = version + 1 WHERE id = ? AND version = ?";

impl Entity for Account {
    type Key = str;

    fn key(&self) -> &str {
        &self.id
    }

    async fn load(connection: Connection<'_>, id: &str) -> Result<Option<Versioned<Self>>, sqlx::Error> {
        load(connection, LOAD, id).await
    }

    async fn load_for_update(connection: Connection<'_>, id: &str) -> Result<Option<Versioned<Self>>, sqlx::Error> {
        // SQLite locks the whole database when the transaction begins.
        let query = if connection.is_mysql() { LOAD_FOR_UPDATE } else { LOAD };
        load(connection, query, id).await
    }

    async fn save(&self, connection: Connection<'_>, expected: Option<u64>) -> Result<Saved, sqlx::Error> {
        let expected = expected.map(|version| i64::try_from(version).unwrap());
        let sql = if expected.is_none() { INSERT } else { UPDATE };
        let rows = match connection {
            #[cfg(feature = "mysql")]
            Connection::MySql(connection) => {
                let query = sqlx::query(sql).bind(&self.nickname).bind(&self.id);
                let query = expected.into_iter().fold(query, sqlx::query::Query::bind);
                query.execute(connection).await?.rows_affected()
            }
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(connection) => {
                let query = sqlx::query(sql).bind(&self.nickname).bind(&self.id);
                let query = expected.into_iter().fold(query, sqlx::query::Query::bind);
                query.execute(connection).await?.rows_affected()
            }
            _ => unreachable!("there are no other kinds"),
        };
        Ok(Saved::if_one_row(rows))
    }
}

async fn load(
    connection: Connection<'_>,
    sql: &'static str,
    id: &str,
) -> Result<Option<Versioned<Account>>, sqlx::Error> {
    let found: Option<(String, i64)> = match connection {
        #[cfg(feature = "mysql")]
        Connection::MySql(connection) => {
            let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
            row.map(|row| (row.get(0), row.get(1)))
        }
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(connection) => {
            let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
            row.map(|row| (row.get(0), row.get(1)))
        }
        _ => unreachable!("there are no other kinds"),
    };
    Ok(found.map(|(nickname, version)| Versioned {
        entity: Account::new(id, &nickname),
        version: u64::try_from(version).unwrap(),
    }))
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountRenamed {
    pub(crate) id: String,
    pub(crate) nickname: String,
}

impl AccountRenamed {
    pub(crate) fn of(account: &Account) -> Self {
        Self { id: account.id.clone(), nickname: account.nickname.clone() }
    }

    pub(crate) fn new(id: &str, nickname: &str) -> Self {
        Self::of(&Account::new(id, nickname))
    }
}

impl Event for AccountRenamed {
    const NAME: &'static str = "accounts.AccountRenamed";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = r#"{"type": "record", "name": "AccountRenamed", "namespace": "accounts", "fields": [
        {"name": "id", "type": "string"}, {"name": "nickname", "type": "string"}]}"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// Of the same stream as [`AccountRenamed`], under another key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountMoved {
    pub(crate) id: String,
    pub(crate) nickname: String,
}

impl Event for AccountMoved {
    const NAME: &'static str = "accounts.AccountMoved";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = r#"{"type": "record", "name": "AccountMoved", "namespace": "accounts", "fields": [
        {"name": "id", "type": "string"}, {"name": "nickname", "type": "string"}]}"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.nickname)
    }

    fn entity_id(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}
