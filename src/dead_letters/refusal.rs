//! Why a letter is not redriven.

use std::fmt;

use serde::Serialize;

/// Why a letter is not redriven. It stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// It was redriven as often as is allowed, and became a letter again each time.
    TooOften,
    /// It does not name the topic it was read from.
    NoOrigin,
    /// The topic it names is none that events go to: Kafka's own, a dead-letter topic's, or no topic's name.
    ForbiddenTopic,
    /// The topic it names does not exist.
    MissingTopic,
    /// It does not name the group that gave it up, so that every group would handle it again.
    NoGroup,
    /// It has no payload: redriven, it would delete its key where the topic is compacted.
    NoPayload,
    /// The brokers refuse the record: it is too large, say.
    Unwritable,
}

impl Refusal {
    /// What to do about it, in a few words.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::TooOften => "mend what makes them fail, then raise --max-redrives",
            Self::NoOrigin => "publish them by hand, with `tidings tail` and `tidings publish`",
            Self::ForbiddenTopic => {
                "look at them with `tidings dead-letters show`: their headers are not to be trusted"
            }
            Self::MissingTopic => "create their topic, if it is to be there",
            Self::NoGroup => "say which group is to handle them, with --for-group",
            Self::NoPayload => "nothing is left to handle",
            Self::Unwritable => "raise the topic's max.message.bytes, or see the log",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooOften => "redriven too often",
            Self::NoOrigin => "names no original topic",
            Self::ForbiddenTopic => "names a topic that events do not go to",
            Self::MissingTopic => "its topic does not exist",
            Self::NoGroup => "names no consumer group",
            Self::NoPayload => "has no payload",
            Self::Unwritable => "refused by the brokers",
        })
    }
}
