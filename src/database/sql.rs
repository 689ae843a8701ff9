//! SQL as text, for the statements tidings builds itself: literals, and what the two kinds of database say differently.
//!
//! Text, because several statements travel in one round trip only as text. A literal is quoted only when it is made of
//! letters, digits and a few harmless signs, and written in hexadecimal otherwise, so no input can end it.

use std::fmt::Write as _;

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    #[cfg(feature = "mysql")]
    MySql,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

impl Dialect {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => "MySQL",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "SQLite",
        }
    }

    /// The database's own time, in UTC.
    pub(crate) const fn now(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => "UTC_TIMESTAMP(6)",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        }
    }

    /// The database's own time, in UTC, `milliseconds` from now.
    pub(crate) fn now_plus(self, milliseconds: i64) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => format!("UTC_TIMESTAMP(6) + INTERVAL {} MICROSECOND", milliseconds * 1_000),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => {
                let (seconds, rest) = (milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000));
                format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '{seconds:+} seconds', '+0.{rest:03} seconds')")
            }
        }
    }

    /// Microseconds from `column` until now, by the database's clock.
    pub(crate) fn microseconds_since(self, column: &str) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => format!("TIMESTAMPDIFF(MICROSECOND, {column}, UTC_TIMESTAMP(6))"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!(
                "CAST(1000 * round((unixepoch('now', 'subsec') - unixepoch({column}, 'subsec')) * 1000) AS INTEGER)"
            ),
        }
    }

    /// The database's own time, in seconds since 1970.
    pub(crate) const fn unix_seconds(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => "UNIX_TIMESTAMP()",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "unixepoch('now')",
        }
    }

    /// A number of `expression`, padded to 20 digits.
    pub(crate) fn padded(self, expression: &str) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => format!("LPAD({expression}, 20, '0')"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("printf('%020d', {expression})"),
        }
    }

    /// How an insert goes on where the row exists.
    pub(crate) const fn on_duplicate(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => "ON DUPLICATE KEY UPDATE",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "ON CONFLICT DO UPDATE SET",
        }
    }

    /// The value that an insert had for `column`, behind [`on_duplicate`](Self::on_duplicate).
    #[cfg(any(feature = "consumer", feature = "store"))]
    pub(crate) fn inserted(self, column: &str) -> String {
        match self {
            // MariaDB knows no other way.
            #[cfg(feature = "mysql")]
            Self::MySql => format!("VALUES({column})"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("excluded.{column}"),
        }
    }

    /// Says that a query of the outbox goes by bucket and id, whatever the statistics of a table that fills and empties say.
    pub(crate) const fn by_primary_key(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => "FORCE INDEX (PRIMARY)",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }

    /// Of what to select a `slot`, so that a gate is taken, shared, until the transaction ends: to be done before rows of the outbox
    /// get their ids. Which of the two it is changes four times a second, so that each is free now and then. SQLite, with its one
    /// writer at a time, has none.
    #[cfg_attr(not(feature = "sqlite"), allow(clippy::unnecessary_wraps, reason = "SQLite has none"))]
    pub(crate) const fn gate(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => Some(
                "FROM tidings_outbox_gate WHERE slot = MICROSECOND(UTC_TIMESTAMP(6)) DIV 250000 % 2 LOCK IN SHARE MODE",
            ),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => None,
        }
    }

    /// Behind a query: lock what it finds until the transaction ends.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => "FOR UPDATE",
            // It has one writer at a time.
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }

    /// Append `text` as a literal.
    pub(crate) fn push_text(self, sql: &mut String, text: &str) {
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._:/+-=@,{}[]()".contains(&byte)) {
            sql.push('\'');
            sql.push_str(text);
            sql.push('\'');
            return;
        }
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => {
                sql.push_str("_utf8mb4 ");
                self.push_bytes(sql, text.as_bytes());
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite => {
                sql.push_str("CAST(");
                self.push_bytes(sql, text.as_bytes());
                sql.push_str(" AS TEXT)");
            }
        }
    }

    /// Append `text` as a literal, or `NULL`.
    pub(crate) fn push_optional_text(self, sql: &mut String, text: Option<&str>) {
        match text {
            Some(text) => self.push_text(sql, text),
            None => sql.push_str("NULL"),
        }
    }

    /// Append `bytes` as a literal.
    #[expect(clippy::unused_self, reason = "reads like its siblings")]
    pub(crate) fn push_bytes(self, sql: &mut String, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        sql.reserve(bytes.len() * 2 + 3);
        sql.push_str("X'");
        for byte in bytes {
            sql.push(char::from(DIGITS[usize::from(byte >> 4)]));
            sql.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        sql.push('\'');
    }

    /// `text` as a literal.
    pub(crate) fn text(self, text: &str) -> String {
        let mut sql = String::new();
        self.push_text(&mut sql, text);
        sql
    }
}

/// Append `items` with commas between.
pub(crate) fn push_list<T: std::fmt::Display>(sql: &mut String, items: impl IntoIterator<Item = T>) {
    for (index, item) in items.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a `String` cannot fail.
        let _ = write!(sql, "{comma}{item}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "mysql")]
    fn what_could_end_a_literal_is_written_in_hexadecimal() {
        assert_eq!(Dialect::MySql.text("Account/42"), "'Account/42'");
        assert_eq!(Dialect::MySql.text("it's"), "_utf8mb4 X'69742773'");
        assert_eq!(Dialect::MySql.text("a\\"), "_utf8mb4 X'615C'");
        assert_eq!(Dialect::MySql.text("ä"), "_utf8mb4 X'C3A4'");
    }

    #[test]
    #[cfg(feature = "sqlite")]
    fn a_moment_in_the_past_or_future_is_written_for_sqlite() {
        let moment = Dialect::Sqlite.now_plus(-1_500);
        assert!(moment.ends_with("'-2 seconds', '+0.500 seconds')"), "{moment}");
    }
}
