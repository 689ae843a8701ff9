//! What a token lets its owner do.

use std::collections::BTreeSet;

use tonic::{Request, Status};

/// What a token lets its owner do, and with the events of which sources. Whoever needs no token may do everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// All, where none is named.
    sources: BTreeSet<String>,
    append: bool,
    read: bool,
}

impl Grant {
    pub(super) const fn everything() -> Self {
        Self { sources: BTreeSet::new(), append: true, read: true }
    }

    /// What the words behind a token say: `source=NAME` and `right=append` or `right=read`, each as often as wanted. Without a source it
    /// is for all, without a right for both. The error says what is wrong, and quotes nothing that may be a token.
    pub(super) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let (mut sources, mut append, mut read) = (BTreeSet::new(), false, false);
        for word in words {
            match word.split_once('=') {
                Some(("source", source)) if !source.is_empty() => {
                    sources.insert(source.to_owned());
                }
                Some(("right", "append")) => append = true,
                Some(("right", "read")) => read = true,
                Some(("right", _)) => return Err("has a right that is neither append nor read"),
                _ => return Err("is followed by what is neither source=NAME nor right=append nor right=read"),
            }
        }
        let all = !append && !read;
        Ok(Self { sources, append: append || all, read: read || all })
    }

    /// That of whoever makes `request`.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_else(Self::everything)
    }

    pub(super) fn may_append<'a>(&self, sources: impl Iterator<Item = &'a str>) -> Result<(), Status> {
        self.may(self.append, "append", sources)
    }

    pub(super) fn may_read<'a>(&self, sources: impl Iterator<Item = &'a str>) -> Result<(), Status> {
        self.may(self.read, "read", sources)
    }

    /// Follow the events of `sources`, or all where none is named.
    pub(super) fn may_follow(&self, sources: &[String]) -> Result<(), Status> {
        if sources.is_empty() && !self.sources.is_empty() {
            return Err(Status::permission_denied("this token is for some sources only: name those to follow"));
        }
        self.may_read(sources.iter().map(String::as_str))
    }

    fn may<'a>(&self, has_right: bool, right: &str, mut sources: impl Iterator<Item = &'a str>) -> Result<(), Status> {
        if !has_right {
            return Err(Status::permission_denied(format!("this token has no right to {right}")));
        }
        let foreign = sources.find(|source| !self.sources.is_empty() && !self.sources.contains(*source));
        foreign.map_or(Ok(()), |source| {
            Err(Status::permission_denied(format!("this token is not for the source {}", source.escape_debug())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(words: &str) -> Grant {
        Grant::parse(words.split_whitespace()).unwrap()
    }

    #[test]
    fn without_words_everything_is_granted() {
        assert_eq!(grant(""), Grant::everything());
        assert!(grant("").may_follow(&[]).is_ok());
    }

    #[test]
    fn a_grant_is_for_its_sources_and_rights_and_nothing_else() {
        let reader = grant("source=accounts source=guilds right=read");
        assert!(reader.may_read(["accounts", "guilds"].into_iter()).is_ok());
        assert!(reader.may_read(["accounts", "payments"].into_iter()).is_err());
        assert!(reader.may_append(["accounts"].into_iter()).is_err());
        assert!(reader.may_follow(&["guilds".to_owned()]).is_ok());
        assert!(reader.may_follow(&[]).is_err(), "all sources are more than its own");
        let writer = grant("right=append");
        assert!(
            writer.may_append(["anything"].into_iter()).is_ok() && writer.may_read(["anything"].into_iter()).is_err()
        );
    }

    #[test]
    fn a_word_that_is_not_understood_grants_nothing() {
        for wrong in ["sources=accounts", "source=", "right=write", "second-token-of-all"] {
            let error = Grant::parse(wrong.split_whitespace()).unwrap_err();
            assert!(!error.contains("second-token"), "{error}");
        }
    }
}
