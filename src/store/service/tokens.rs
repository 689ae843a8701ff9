//! Who may use the store: bearer tokens.

use std::fmt;
use std::path::Path;

use subtle::ConstantTimeEq as _;
use tonic::metadata::MetadataMap;

use super::grant::Grant;
use crate::store::StoreError;

/// The shortest token that is taken, in bytes: shorter ones can be guessed.
const SHORTEST: usize = 16;

/// The tokens a store knows. Several, so that one can be replaced while the other is still in use. Never shown.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(Box<[u8]>, Grant)>);

impl Tokens {
    /// The tokens in `text`, one a line; empty lines and those that begin with `#` are none. A token may append and read the events of all
    /// sources, unless words behind it say less: `source=NAME`, as often as wanted, `right=append` or `right=read`.
    ///
    /// ```
    /// use tidings::store::Tokens;
    ///
    /// let text = "wK3xq0V7dM2sTtZbH5fJ\n\
    ///             8YpLr4uNcE1aQgXo9vBi source=accounts right=append\n\
    ///             mZ6hSj2kWq5RfTd8xUyC source=accounts source=guilds right=read\n";
    /// let tokens = Tokens::parse(text)?;
    /// # let _ = tokens;
    /// # Ok::<_, tidings::store::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// There is none, or one that is shorter than 16 bytes, cannot be a header's value, or has words behind it that are not understood.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| Err(StoreError::Client { reason });
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(token) = words.next().filter(|token| !token.starts_with('#')) else { continue };
            let line = index + 1;
            if token.len() < SHORTEST {
                return refuse(format!("the token in line {line} is shorter than {SHORTEST} bytes"));
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return refuse(format!("the token in line {line} has signs that a header cannot have"));
            }
            match Grant::parse(words) {
                Ok(grant) => tokens.push((token.as_bytes().into(), grant)),
                Err(wrong) => return refuse(format!("the token in line {line} {wrong}")),
            }
        }
        if tokens.is_empty() {
            return refuse("there is no token".to_owned());
        }
        Ok(Self(tokens))
    }

    /// The tokens in the file `path`.
    ///
    /// # Errors
    /// It cannot be read; as for [`parse`](Self::parse).
    pub async fn read(path: &Path) -> Result<Self, StoreError> {
        let text = tokio::fs::read_to_string(path).await.map_err(|error| StoreError::Client {
            reason: format!("the tokens in {} cannot be read: {error}", path.display()),
        })?;
        Self::parse(&text)
    }

    /// What `presented` grants, if it is one of them. Takes as long for a wrong one as for a right one of the same length.
    fn grant(&self, presented: &[u8]) -> Option<&Grant> {
        let mut found = None;
        for (token, grant) in &self.0 {
            if token.ct_eq(presented).into() {
                found = Some(grant);
            }
        }
        found
    }

    /// Check the `authorization` of a call; what it grants.
    pub(super) fn check(&self, metadata: &MetadataMap) -> Result<Grant, StoreError> {
        let refuse = |reason: &str| Err(StoreError::Unauthenticated { reason: reason.to_owned() });
        let Some(value) = metadata.get("authorization") else {
            return refuse("none was given; send `authorization: Bearer TOKEN`");
        };
        let value = value.as_encoded_bytes();
        let token = value.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        match token.and_then(|(_, token)| self.grant(token)) {
            Some(grant) => Ok(grant.clone()),
            None => refuse("it is not a known one"),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tokens({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(authorization: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", authorization.parse().unwrap());
        metadata
    }

    #[test]
    fn each_token_of_a_file_opens_and_nothing_else_does() {
        let tokens = Tokens::parse("# new\nfirst-token-of-all\n\nsecond-token-of-all\n").unwrap();
        assert!(tokens.check(&asked("Bearer first-token-of-all")).is_ok());
        assert!(tokens.check(&asked("bearer second-token-of-all")).is_ok());
        for wrong in
            ["Bearer first-token-of-al", "Bearer first-token-of-alll", "Bearer ", "Bearer", "Basic first-token-of-all"]
        {
            assert!(tokens.check(&asked(wrong)).is_err(), "{wrong}");
        }
        assert!(tokens.check(&MetadataMap::new()).is_err());
    }

    #[test]
    fn a_token_grants_what_the_words_behind_it_say() {
        let text = "first-token-of-all\nsecond-token-of-all source=accounts right=read\n";
        let tokens = Tokens::parse(text).unwrap();
        assert_eq!(tokens.check(&asked("Bearer first-token-of-all")).unwrap(), Grant::everything());
        let second = tokens.check(&asked("Bearer second-token-of-all")).unwrap();
        assert!(
            second.may_read(["accounts"].into_iter()).is_ok() && second.may_append(["accounts"].into_iter()).is_err()
        );
        let wrong = Tokens::parse("first-token-of-all second-token-of-all").unwrap_err().to_string();
        assert!(wrong.contains("line 1") && !wrong.contains("token-of-all"), "{wrong}");
    }

    #[test]
    fn tokens_are_not_shown() {
        let tokens = Tokens::parse("first-token-of-all").unwrap();
        assert!(!format!("{tokens:?}").contains("first"));
        let error = Tokens::parse("tiny").unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("tiny"), "{error}");
    }

    #[test]
    fn a_file_without_tokens_opens_nothing() {
        assert!(Tokens::parse("# none yet\n").is_err());
    }
}
