//! Which way a publisher's events go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::transport::{Acks, Target, UnknownAcks};

/// Which way a publisher's events go: configuration, not code. [`Publisher::publish`](super::Publisher::publish) and a
/// transaction's `publish` follow it.
///
/// As text: `direct` (with acks from all), `direct:none`, `direct:leader`, `direct:all`, `outbox`, `store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DeliveryMode {
    /// Fire-and-forget: straight to Kafka. What is not acknowledged when the process ends is lost.
    Direct {
        /// Who must have an event before it counts as published.
        acks: Acks,
    },
    /// At least once: through a table of the service's own database, in the transaction that changes the entity.
    Outbox,
    /// At least once, and in order whatever becomes of the relay: through the service's own outbox into an
    /// event store (the feature `store`), which takes each event only behind its predecessor, keeps it, and forwards it to Kafka.
    Store,
}

impl DeliveryMode {
    /// Where the relay takes what is recorded in this mode; `None` where nothing is.
    pub(crate) const fn target(self) -> Option<Target> {
        match self {
            Self::Direct { .. } => None,
            Self::Outbox => Some(Target::Kafka),
            Self::Store => Some(Target::Store),
        }
    }

    /// How the rows of streams name it: who must have an event is nothing to them.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) const fn recorded_name(self) -> &'static str {
        match self {
            Self::Direct { .. } => "direct",
            Self::Outbox => "outbox",
            Self::Store => "store",
        }
    }
}

impl Default for DeliveryMode {
    fn default() -> Self {
        Self::Direct { acks: Acks::All }
    }
}

impl fmt::Display for DeliveryMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct { acks: Acks::All } => formatter.write_str("direct"),
            Self::Direct { acks } => write!(formatter, "direct:{acks}"),
            Self::Outbox => formatter.write_str("outbox"),
            Self::Store => formatter.write_str("store"),
        }
    }
}

/// A text that names no delivery mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownMode {
    /// The mode is unknown.
    #[error("`{0}` is no delivery mode: write direct, direct:none, direct:leader, direct:all, outbox or store")]
    Mode(String),
    /// The mode is known, its acknowledgement is not.
    #[error("the delivery mode's acknowledgement is unknown")]
    Acks(#[from] UnknownAcks),
}

impl FromStr for DeliveryMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "direct" => Ok(Self::default()),
            None if text == "outbox" => Ok(Self::Outbox),
            None if text == "store" => Ok(Self::Store),
            Some(("direct", acks)) => Ok(Self::Direct { acks: acks.parse()? }),
            _ => Err(UnknownMode::Mode(text.to_owned())),
        }
    }
}

impl TryFrom<String> for DeliveryMode {
    type Error = UnknownMode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeliveryMode> for String {
    fn from(mode: DeliveryMode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_the_same_text_in_a_flag_and_in_a_file() {
        for (text, mode) in [
            ("direct", DeliveryMode::Direct { acks: Acks::All }),
            ("direct:none", DeliveryMode::Direct { acks: Acks::None }),
            ("outbox", DeliveryMode::Outbox),
            ("store", DeliveryMode::Store),
        ] {
            assert_eq!(text.parse(), Ok(mode));
            assert_eq!(mode.to_string(), text);
            assert_eq!(serde_json::from_str::<DeliveryMode>(&format!("\"{text}\"")).unwrap(), mode);
        }
        assert!(matches!("outbox:all".parse::<DeliveryMode>(), Err(UnknownMode::Mode(_))));
        assert!(matches!("direct:two".parse::<DeliveryMode>(), Err(UnknownMode::Acks(_))));
    }
}
