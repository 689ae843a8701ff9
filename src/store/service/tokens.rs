//! Who may use the store: bearer tokens.

use std::fmt;
use std::path::Path;

use subtle::ConstantTimeEq as _;
use tonic::metadata::MetadataMap;

use crate::store::StoreError;

/// The shortest token that is taken, in bytes: shorter ones can be guessed.
const SHORTEST: usize = 16;

/// The tokens a store knows. Several, so that one can be replaced while the other is still in use. Never shown.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Box<[u8]>>);

impl Tokens {
    /// The tokens in `text`, one a line; empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    /// There is none, or one that is shorter than 16 bytes or cannot be a header's value.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| Err(StoreError::Client { reason });
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let token = line.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            let line = index + 1;
            if token.len() < SHORTEST {
                return refuse(format!("the token in line {line} is shorter than {SHORTEST} bytes"));
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return refuse(format!("the token in line {line} has signs that a header cannot have"));
            }
            tokens.push(token.as_bytes().into());
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

    /// Whether `presented` is one of them. Takes as long for a wrong one as for a right one of the same length.
    fn knows(&self, presented: &[u8]) -> bool {
        let known = self.0.iter().map(|token| token.ct_eq(presented));
        known.fold(subtle::Choice::from(0), |any, one| any | one).into()
    }

    /// Check the `authorization` of a call.
    pub(super) fn check(&self, metadata: &MetadataMap) -> Result<(), StoreError> {
        let refuse = |reason: &str| Err(StoreError::Unauthenticated { reason: reason.to_owned() });
        let Some(value) = metadata.get("authorization") else {
            return refuse("none was given; send `authorization: Bearer TOKEN`");
        };
        let value = value.as_encoded_bytes();
        match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") && self.knows(token) => Ok(()),
            _ => refuse("it is not a known one"),
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
