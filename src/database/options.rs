//! How to reach a database.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// How to reach a database. A service may read them from a file of its own, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `url` | none: it must be given | |
/// | `max_connections` | 10 | connections |
/// | `connect_timeout_ms` | 5,000 | milliseconds |
/// | `acquire_timeout_ms` | 10,000 | milliseconds |
/// | `session_timeout_ms` | 600,000; MySQL only, in whole seconds | milliseconds |
/// | `migrate` | false: tables that are missing are an error | |
/// | `check_migrated` | true | |
/// | `shard` | `default` | |
///
/// ```
/// use tidings::database::DatabaseOptions;
///
/// let options = DatabaseOptions::new("mysql://accounts:correct-horse@db.example:3306/accounts").max_connections(20);
/// assert!(!format!("{options:?}").contains("correct-horse"));
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseOptions {
    pub(crate) url: String,
    pub(crate) max_connections: u32,
    #[serde(rename = "connect_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) connect_timeout: Duration,
    #[serde(rename = "acquire_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) acquire_timeout: Duration,
    #[serde(rename = "session_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) session_timeout: Duration,
    pub(crate) migrate: bool,
    pub(crate) check_migrated: bool,
    pub(crate) shard: String,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            url: String::new(),
            max_connections: 10,
            connect_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(10),
            session_timeout: Duration::from_mins(10),
            migrate: false,
            check_migrated: true,
            shard: "default".to_owned(),
        }
    }
}

impl DatabaseOptions {
    /// The database at `url`: `mysql://user:password@host:port/database`, `mariadb://…`, or `sqlite:path/to/file`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The most connections kept. Default: 10. An in-memory SQLite database has one.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How long to wait for the server to answer a new connection. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to wait for a connection to become free. Default: 10 s.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long the server keeps a session that says nothing. It does not hear of a machine or a line that dies, and keeps the locks of
    /// a transaction that was open there until then: its streams stand still. A transaction that waits for longer between two
    /// statements is rolled back. On MySQL only, in whole seconds. Default: 10 min.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout.max(Duration::from_secs(1));
        self
    }

    /// Create or change the tables of tidings while connecting. Default: no.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Check while connecting that the tables are there. Default: yes.
    pub fn check_migrated(mut self, check: bool) -> Self {
        self.check_migrated = check;
        self
    }

    /// This database's name among the shards, recorded with every stream; at most 64 bytes. Default: `default`.
    pub fn shard(mut self, name: impl Into<String>) -> Self {
        self.shard = name.into();
        self
    }

    /// As the setters would have it: a file may say 0.
    pub(crate) fn bounded(self) -> Self {
        let (connections, session_timeout) = (self.max_connections, self.session_timeout);
        self.max_connections(connections).session_timeout(session_timeout)
    }

    /// The URL without what may be secret: the password, and the parameters.
    pub fn redacted_url(&self) -> String {
        redact(&self.url)
    }
}

/// Only what a parser took for user, host and database: cutting the text by hand would show parts of a password that holds
/// unescaped delimiters.
fn redact(url: &str) -> String {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        return url.split('?').next().unwrap_or_default().to_owned();
    }
    #[cfg(feature = "mysql")]
    if let (Some((scheme, _)), Ok(options)) = (url.split_once("://"), url.parse::<sqlx::mysql::MySqlConnectOptions>()) {
        let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
        return format!("{scheme}://{user}@{host}:{port}/{}", options.get_database().unwrap_or_default());
    }
    let _ = url;
    "<not a URL>".to_owned()
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseOptions")
            .field("url", &self.redacted_url())
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("session_timeout", &self.session_timeout)
            .field("migrate", &self.migrate)
            .field("check_migrated", &self.check_migrated)
            .field("shard", &self.shard)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_the_names_documented() {
        let options: DatabaseOptions = serde_json::from_str(
            r#"{"url": "mysql://accounts:correct-horse@h/d", "max_connections": 3, "connect_timeout_ms": 40,
                "acquire_timeout_ms": 50, "session_timeout_ms": 60000, "migrate": true, "check_migrated": false, "shard": "eu"}"#,
        )
        .unwrap();
        let expected = DatabaseOptions::new("mysql://accounts:correct-horse@h/d")
            .max_connections(3)
            .connect_timeout(Duration::from_millis(40))
            .acquire_timeout(Duration::from_millis(50))
            .session_timeout(Duration::from_mins(1))
            .migrate(true)
            .check_migrated(false)
            .shard("eu");
        assert_eq!(options, expected);
        assert!(!format!("{options:?}").contains("correct-horse"));
        assert_eq!(serde_json::from_str::<DatabaseOptions>("{}").unwrap(), DatabaseOptions::default());
        assert!(serde_json::from_str::<DatabaseOptions>(r#"{"acquire_timeout": 50}"#).is_err());
        let zero = r#"{"max_connections": 0, "session_timeout_ms": 0}"#;
        let zero = serde_json::from_str::<DatabaseOptions>(zero).unwrap().bounded();
        assert_eq!((zero.max_connections, zero.session_timeout), (1, Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_url_that_is_not_given_is_told() {
        let error = crate::database::Database::connect(DatabaseOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains("there is none; set `url`"), "{error}");
    }

    #[test]
    #[cfg(feature = "mysql")]
    fn a_redacted_url_keeps_the_place_and_the_user_only() {
        for (url, shown) in [
            ("mysql://user:secret@host:3307/db?ssl-key=secret", "mysql://user@host:3307/db"),
            ("mysql://user:se%2Fcret@host/db", "mysql://user@host:3306/db"),
            ("user:secret@host", "<not a URL>"),
        ] {
            assert_eq!(redact(url), shown);
        }
        for url in
            ["mysql://user:sec@ret@host/db", "mysql://user:se/cret@host/db", "mysql://user:sec?ret@host/db?a=b@ret"]
        {
            assert!(!redact(url).contains("ret"), "{}", redact(url));
        }
    }

    #[test]
    #[cfg(feature = "sqlite")]
    fn a_redacted_sqlite_url_is_its_path() {
        assert_eq!(redact("sqlite:file.db?mode=rwc"), "sqlite:file.db");
        assert_eq!(redact("sqlite::memory:"), "sqlite::memory:");
    }
}
