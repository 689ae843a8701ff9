//! How a client reaches a store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// How a client reaches a store. A service may read them from a file of its own, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `url` | `http://127.0.0.1:7433` | |
/// | `token` | none | |
/// | `ca_file` | the system's authorities | |
/// | `certificate_file`, `key_file` | none | |
/// | `connect_timeout_ms` | 5,000 | milliseconds |
/// | `deadline_ms` | 10,000 | milliseconds |
/// | `plain_token` | false: a token goes to other machines over TLS only | |
///
/// ```
/// use tidings::store::StoreClientOptions;
///
/// let options = StoreClientOptions::new("https://store.example:7433").token("correct-horse-battery");
/// assert!(!format!("{options:?}").contains("correct-horse"));
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreClientOptions {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    #[serde(rename = "connect_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) connect_timeout: Duration,
    #[serde(rename = "deadline_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) deadline: Duration,
    pub(crate) plain_token: bool,
}

impl Default for StoreClientOptions {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:7433".to_owned(),
            token: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            connect_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            plain_token: false,
        }
    }
}

impl StoreClientOptions {
    /// The store at `url`: `https://host:port`, or `http://` for plain text.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The token that the store asks for. Default: none.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into()).filter(|token| !token.is_empty());
        self
    }

    /// The certificate of the authority that vouches for the store, in PEM. Default: the system's authorities.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The client's own certificate and key, in PEM. Default: none.
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate_file = Some(certificate.into());
        self.key_file = Some(key.into());
        self
    }

    /// How long to wait for a connection. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an append may take, with all its attempts. Default: 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.max(Duration::from_millis(1));
        self
    }

    /// Whether the token may go to another machine in plain text: where something in between encrypts. Default: no.
    pub fn plain_token(mut self, allow: bool) -> Self {
        self.plain_token = allow;
        self
    }
}

impl fmt::Debug for StoreClientOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoreClientOptions")
            .field("url", &self.url)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("ca_file", &self.ca_file)
            .field("certificate_file", &self.certificate_file)
            .field("connect_timeout", &self.connect_timeout)
            .field("deadline", &self.deadline)
            .field("plain_token", &self.plain_token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_the_names_documented() {
        let options: StoreClientOptions = serde_json::from_str(
            r#"{"url": "https://s:1", "token": "t", "ca_file": "ca.pem", "certificate_file": "c.pem", "key_file": "k.pem",
                "connect_timeout_ms": 2, "deadline_ms": 3, "plain_token": true}"#,
        )
        .unwrap();
        let expected = StoreClientOptions::new("https://s:1")
            .token("t")
            .ca_file("ca.pem")
            .certificate("c.pem", "k.pem")
            .connect_timeout(Duration::from_millis(2))
            .deadline(Duration::from_millis(3))
            .plain_token(true);
        assert_eq!(options, expected);
        assert_eq!(serde_json::from_str::<StoreClientOptions>("{}").unwrap(), StoreClientOptions::default());
        assert!(serde_json::from_str::<StoreClientOptions>(r#"{"deadline": 3}"#).is_err());
    }
}
