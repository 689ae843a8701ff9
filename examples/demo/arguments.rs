//! What the demo is told.

use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tidings::publisher::{Acks, DeliveryMode};

/// Domain events from a transaction to a typed handler, counted: nothing lost, nothing out of order.
///
/// A service `accounts` changes players in database transactions and publishes what happened; a service `leaderboards`
/// handles the events. Without options all of it runs in this process, on an embedded Kafka cluster and SQLite.
#[derive(Parser, Debug, Clone)]
#[command(name = "demo", max_term_width = 110)]
pub struct Arguments {
    /// Kafka's brokers, host:port, separated by commas. Default: a cluster inside this process.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Real servers")]
    pub brokers: Option<String>,

    /// A property of the Kafka client, as librdkafka names it, for TLS and SASL; may be repeated.
    #[arg(long = "kafka", value_name = "NAME=VALUE", requires = "brokers", help_heading = "Real servers")]
    pub kafka: Vec<Property>,

    /// The database: mysql://user:password@host:port/database, or sqlite:path/to/file. Default: SQLite in a temporary file.
    #[arg(long, value_name = "URL", help_heading = "Real servers")]
    pub database: Option<String>,

    /// A schema registry that speaks Confluent's API. Default: none; schemas are known to this process only.
    #[arg(long, value_name = "URL", help_heading = "Real servers")]
    pub registry: Option<String>,

    /// An event store that runs already, such as `http://127.0.0.1:7433`; its token in `TIDINGS_STORE_TOKEN`. Default: one in this
    /// process, on SQLite in a temporary file.
    #[arg(long, value_name = "URL", help_heading = "Real servers")]
    pub store: Option<String>,

    /// What the names of topics and groups begin with, so that they are not those of your own services. Default: demo. on real
    /// brokers, else nothing.
    #[arg(long, value_name = "TEXT", help_heading = "Real servers")]
    pub prefix: Option<String>,

    /// How many events to publish, one in each transaction; the modes share them. Default: as many as six seconds a mode take.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000),
        help_heading = "Load")]
    pub events: Option<u64>,

    /// How many players the events are about; the modes share them, because a player's events go one way. Default: 500.
    #[arg(long, value_name = "N", default_value_t = 500, hide_default_value = true,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000), help_heading = "Load")]
    pub players: u64,

    /// How events get to Kafka: direct (fire-and-forget, acknowledged by all), outbox (in the transaction, by the relay), store
    /// (in the transaction, by the relay to an event store, which keeps and forwards them), or all, one after the other.
    #[arg(long, value_enum, default_value_t = Mode::All, help_heading = "Load")]
    pub mode: Mode,

    /// How many transactions run at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000),
        help_heading = "Load")]
    pub writers: u32,

    /// At most this many transactions a second. Default: as many as the database takes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    pub rate: Option<u32>,

    /// The most events committed and not yet handled; writers wait at this bound. An embedded partition keeps 5 MiB.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=5_000),
        help_heading = "Load")]
    pub max_lag: u32,

    /// Plant this many events that no handler can ever handle; they become dead letters.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Load")]
    pub poison: u64,

    /// How long to wait, in seconds, while nothing is handled, before what is missing counts as lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_600),
        help_heading = "Load")]
    pub patience: u32,

    /// Print the result as one JSON object, the last line of standard output; everything else goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// How long a mode runs when nobody says how many events.
pub const TIME: Duration = Duration::from_secs(6);

/// Fire-and-forget, acknowledged by all.
const DIRECT: DeliveryMode = DeliveryMode::Direct { acks: Acks::All };

/// Which delivery modes to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Direct,
    Outbox,
    Store,
    All,
}

/// A property of the Kafka client.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    pub value: String,
}

/// One mode's share of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub mode: DeliveryMode,
    /// How many; `None` for as many as [`TIME`] takes.
    pub events: Option<u64>,
    pub players: u64,
    pub poison: u64,
}

impl Arguments {
    /// The name of a service, and of what belongs to it.
    pub fn name(&self, service: &str) -> String {
        let default = if self.brokers.is_some() { "demo." } else { "" };
        format!("{}{service}", self.prefix.as_deref().unwrap_or(default))
    }

    /// The work of each mode, in the order they run.
    pub fn shares(&self) -> Vec<Share> {
        let modes: &[DeliveryMode] = match self.mode {
            Mode::Direct => &[DIRECT],
            Mode::Outbox => &[DeliveryMode::Outbox],
            Mode::Store => &[DeliveryMode::Store],
            Mode::All => &[DIRECT, DeliveryMode::Outbox, DeliveryMode::Store],
        };
        let parts = modes.len() as u64;
        let part = |total: u64, index: u64| total / parts + u64::from(index < total % parts);
        let share = |(mode, index): (&DeliveryMode, u64)| Share {
            mode: *mode,
            events: self.events.map(|events| part(events, index)),
            players: part(self.players, index).max(1),
            poison: part(self.poison, index),
        };
        modes.iter().zip(0..).map(share).filter(|share| share.events != Some(0)).collect()
    }

    /// What clap cannot see.
    pub fn check(&self) -> Result<(), String> {
        for share in self.shares() {
            let changes = share.events.map_or(u64::MAX, |events| events.saturating_sub(share.players));
            if share.poison > changes {
                return Err(format!(
                    "--poison {} does not fit: in the mode {}, {changes} events are left when each of {} players has signed up",
                    self.poison, share.mode, share.players,
                ));
            }
        }
        Ok(())
    }
}

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as security.protocol=ssl")?;
        Ok(Self { name: name.trim().to_owned(), value: value.to_owned() })
    }
}

impl std::fmt::Debug for Property {
    // The value may be a password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}=…", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::try_parse_from(std::iter::once("demo").chain(line.split_whitespace())).unwrap()
    }

    #[test]
    fn the_modes_share_events_players_and_poison_without_remainder() {
        let shares = arguments("--events 1001 --players 11 --poison 3").shares();
        assert_eq!(shares.len(), 3);
        assert_eq!(shares.iter().filter_map(|share| share.events).sum::<u64>(), 1001);
        assert_eq!(shares.iter().map(|share| share.players).sum::<u64>(), 11);
        assert_eq!(shares.iter().map(|share| share.poison).sum::<u64>(), 3);
    }

    #[test]
    fn one_event_is_one_modes() {
        let shares = arguments("--events 1").shares();
        assert_eq!(shares.iter().map(|share| (share.events, share.players)).collect::<Vec<_>>(), [(Some(1), 167)]);
    }

    #[test]
    fn poison_needs_players_that_have_signed_up() {
        assert!(arguments("--events 1000 --players 100 --poison 900").check().is_ok());
        assert!(arguments("--events 1000 --players 100 --poison 901").check().is_err());
    }
}
