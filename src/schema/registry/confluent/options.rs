//! How a schema registry is reached.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use url::Url;

/// How to reach a schema registry.
#[derive(Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// Its addresses, with the path of the API; each call tries them in order. Default: none, which is an error.
    pub urls: Vec<String>,
    /// The credentials. Default: those in the first address that has some, else none.
    pub authorization: RegistryAuthorization,
    /// The longest wait for an answer. Default: 10 seconds.
    pub timeout: Duration,
    /// Whether publishing may register a schema that is not registered. Default: yes.
    pub auto_register: bool,
}

/// Credentials for a schema registry.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryAuthorization {
    /// None.
    #[default]
    None,
    /// A user name and a password, or an API key and its secret.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Bearer(String),
}

/// Options that make no registry client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryOptionsError {
    /// There is no address.
    #[error("the schema registry has no address: give one, such as http://localhost:8081")]
    NoAddress,
    /// An address is no URL.
    #[error("the schema registry's address cannot be read: write it as http://host:port/path")]
    Address(#[source] url::ParseError),
    /// An address is neither HTTP nor HTTPS, or it is HTTPS and this build has no TLS.
    #[error(
        "the schema registry's address begins with {0}://, which this build cannot speak: use http, or https with the feature `tls`"
    )]
    Scheme(String),
    /// The HTTP client cannot be made.
    #[error("the client for the schema registry cannot be made")]
    Client(#[source] Box<dyn StdError + Send + Sync>),
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            authorization: RegistryAuthorization::None,
            timeout: Duration::from_secs(10),
            auto_register: true,
        }
    }
}

impl RegistryOptions {
    /// A registry at this address, such as `http://localhost:8081`. It may carry a user and a password.
    pub fn new(url: impl Into<String>) -> Self {
        Self { urls: vec![url.into()], ..Self::default() }
    }

    /// A further address, tried where the ones before it fail.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// A user and a password, or an API key and its secret.
    pub fn basic(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.authorization = RegistryAuthorization::Basic { user: user.into(), password: password.into() };
        self
    }

    /// A bearer token.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.authorization = RegistryAuthorization::Bearer(token.into());
        self
    }

    /// The longest wait for an answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether publishing may register a schema that is not registered.
    pub fn auto_register(mut self, auto_register: bool) -> Self {
        self.auto_register = auto_register;
        self
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<String> =
            self.urls.iter().map(|url| clean(url).map_or_else(|_| "(unreadable)".into(), |(url, _)| url)).collect();
        formatter
            .debug_struct("RegistryOptions")
            .field("urls", &urls)
            .field("authorization", &self.authorization)
            .field("timeout", &self.timeout)
            .field("auto_register", &self.auto_register)
            .finish()
    }
}

impl fmt::Debug for RegistryAuthorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

/// An address without its credentials and its last slash, and the credentials.
pub(super) fn clean(url: &str) -> Result<(String, RegistryAuthorization), RegistryOptionsError> {
    let mut url = Url::parse(url).map_err(RegistryOptionsError::Address)?;
    if !matches!(url.scheme(), "http" | "https") || (url.scheme() == "https" && !cfg!(feature = "tls")) {
        return Err(RegistryOptionsError::Scheme(url.scheme().to_owned()));
    }
    let authorization = if url.username().is_empty() && url.password().is_none() {
        RegistryAuthorization::None
    } else {
        // Only the percent signs mean something here: what else means something in a form is escaped first.
        let decode = |text: &str| {
            let escaped = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
            url::form_urlencoded::parse(escaped.as_bytes())
                .next()
                .map_or_else(String::new, |(name, _)| name.into_owned())
        };
        RegistryAuthorization::Basic {
            user: decode(url.username()),
            password: decode(url.password().unwrap_or_default()),
        }
    };
    // Both fail only for addresses without a host, which HTTP does not have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    Ok((url.as_str().trim_end_matches('/').to_owned(), authorization))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ConfluentRegistry;

    #[test]
    fn credentials_leave_the_address_and_appear_nowhere() {
        let options = RegistryOptions::new("http://us%40er:se%2Fcret+=&@host:8081/apis/ccompat/v7/?x=secret");
        let (address, authorization) = clean(&options.urls[0]).unwrap();
        assert_eq!(address, "http://host:8081/apis/ccompat/v7");
        let wanted = RegistryAuthorization::Basic { user: "us@er".into(), password: "se/cret+=&".into() };
        assert!(authorization == wanted);
        let registry = ConfluentRegistry::new(&options).unwrap();
        for text in [format!("{options:?}"), format!("{registry:?}"), format!("{:?}", options.clone().bearer("secret"))]
        {
            assert!(!text.contains("cret"), "{text}");
        }
    }

    #[test]
    fn options_that_name_no_registry_are_refused() {
        let new = |url: &str| ConfluentRegistry::new(&RegistryOptions::new(url)).unwrap_err();
        assert!(matches!(
            ConfluentRegistry::new(&RegistryOptions::default()).unwrap_err(),
            RegistryOptionsError::NoAddress
        ));
        assert!(matches!(new("localhost"), RegistryOptionsError::Address(_)));
        assert!(matches!(new("localhost:8081"), RegistryOptionsError::Scheme(_)));
    }
}
