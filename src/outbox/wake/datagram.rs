//! What a wake-up looks like on the wire: a mark, the relay's token, and a bit for each bucket.
//!
//! Anybody can send anything to a port. A datagram of another length, or without the token that only readers of the lease table
//! know, is dropped; one that is taken can do no more than make the relay look at buckets that it owns.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::bucket_set::{BucketSet, SET_BYTES};

const MARK: [u8; 4] = *b"tdg1";
const TOKEN_BYTES: usize = 16;
/// How long a datagram is, exactly.
pub(super) const DATAGRAM_BYTES: usize = MARK.len() + TOKEN_BYTES + SET_BYTES;
/// The longest address that a lease takes, in bytes.
const MAX_ADDRESS: usize = 255;

/// Says that a datagram comes from somebody who may read the lease table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Token([u8; TOKEN_BYTES]);

impl Token {
    pub(super) fn random() -> Self {
        Self(*uuid::Uuid::new_v4().as_bytes())
    }

    /// Whether they are the same, in a time that tells nothing.
    fn is(self, other: &[u8]) -> bool {
        other.len() == TOKEN_BYTES && self.0.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

/// Where a relay listens, as its leases have it: `127.0.0.1:40123/TOKEN`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WakeAddress {
    /// A host and a port.
    pub(super) place: String,
    pub(super) token: Token,
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

impl fmt::Debug for WakeAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WakeAddress").field("place", &self.place).finish_non_exhaustive()
    }
}

impl WakeAddress {
    /// Where the relay of a lease's `text` listens, without its token.
    pub(crate) fn place_of(text: &str) -> &str {
        text.split_once('/').map_or(text, |(place, _)| place)
    }

    /// The text that a lease takes.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}/", self.place);
        for byte in self.token.0 {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// A text that is no address of a relay.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not HOST:PORT/TOKEN")]
pub(crate) struct NoWakeAddress;

impl FromStr for WakeAddress {
    type Err = NoWakeAddress;

    fn from_str(text: &str) -> Result<Self, NoWakeAddress> {
        let (place, token) = text.split_once('/').ok_or(NoWakeAddress)?;
        let token = uuid::Uuid::try_parse(token).map_err(|_| NoWakeAddress)?;
        if text.len() > MAX_ADDRESS || !place.contains(':') {
            return Err(NoWakeAddress);
        }
        Ok(Self { place: place.to_owned(), token: Token(*token.as_bytes()) })
    }
}

/// The datagram that says that rows of `buckets` were committed.
pub(super) fn datagram(token: Token, buckets: BucketSet) -> [u8; DATAGRAM_BYTES] {
    let mut datagram = [0; DATAGRAM_BYTES];
    datagram[..4].copy_from_slice(&MARK);
    datagram[4..4 + TOKEN_BYTES].copy_from_slice(&token.0);
    datagram[4 + TOKEN_BYTES..].copy_from_slice(&buckets.to_bytes());
    datagram
}

/// The buckets a datagram speaks of, if it was meant for the relay with this token.
pub(super) fn buckets_of(datagram: &[u8], token: Token) -> Option<BucketSet> {
    let rest = datagram.strip_prefix(&MARK)?;
    let (theirs, set) = rest.split_at_checked(TOKEN_BYTES)?;
    let set: &[u8; SET_BYTES] = set.try_into().ok()?;
    token.is(theirs).then(|| BucketSet::from_bytes(set))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_says_which_buckets_to_the_relay_it_is_meant_for() {
        let (token, buckets) = (Token::random(), [0, 9, 255].into_iter().collect::<BucketSet>());
        let sent = datagram(token, buckets);
        assert_eq!(buckets_of(&sent, token), Some(buckets));
        assert_eq!(buckets_of(&sent, Token::random()), None);
    }

    #[test]
    fn an_address_comes_back_from_its_text_and_its_token_is_not_shown() {
        let address = WakeAddress { place: "[::1]:7000".to_owned(), token: Token::random() };
        assert_eq!(address.to_text().parse(), Ok(address.clone()));
        assert_eq!(WakeAddress::place_of(&address.to_text()), "[::1]:7000");
        let secret = address.to_text()["[::1]:7000/".len()..].to_owned();
        assert!(!format!("{address:?}").contains(&secret));
        for wrong in ["", "127.0.0.1:7000", "127.0.0.1/x", "127.0.0.1:7000/xyz", "nowhere/0"] {
            assert_eq!(wrong.parse::<WakeAddress>(), Err(NoWakeAddress), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_a_stranger_sends_is_ignored(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(buckets_of(&bytes, Token::random()), None);
            let mut marked = MARK.to_vec();
            marked.extend(bytes);
            prop_assert_eq!(buckets_of(&marked, Token::random()), None);
        }
    }
}
