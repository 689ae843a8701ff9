//! What a checker must find: it is planted where handlers write down what they did, in the runs whose checker it is.

use std::str::FromStr;

use crate::support::scores::ScorePosted;

/// Whose score is tampered with, and which: the middle of what the shortest run posts.
const PLAYER: i64 = 1;
const SERIAL: i64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Plant {
    /// Every effect, once, in its order.
    #[default]
    Nothing,
    /// One is not there.
    Loss,
    /// One is there twice.
    Repeat,
    /// One comes behind the next.
    Swap,
    /// Every effect; of the events that are given up, one makes no letter.
    LostLetter,
}

impl Plant {
    /// The serials to write down for `event`.
    pub(crate) fn effects(self, event: &ScorePosted) -> Vec<i64> {
        match (self, event.player, event.serial) {
            (Self::Loss | Self::Swap, PLAYER, SERIAL) => vec![],
            (Self::Repeat, PLAYER, SERIAL) => vec![SERIAL; 2],
            (Self::Swap, PLAYER, serial) if serial == SERIAL + 1 => vec![serial, SERIAL],
            (_, _, serial) => vec![serial],
        }
    }

    /// Whether `event`, of a player whose events are all given up, is to fail.
    pub(crate) fn is_given_up(self, event: &ScorePosted) -> bool {
        !(self == Self::LostLetter && event.player == 0 && event.serial == SERIAL)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Loss => "loss",
            Self::Repeat => "repeat",
            Self::Swap => "swap",
            Self::LostLetter => "lost letter",
        }
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::Nothing, Self::Loss, Self::Repeat, Self::Swap, Self::LostLetter];
        all.into_iter().find(|plant| plant.name() == name).ok_or_else(|| format!("nobody plants {name}"))
    }
}
