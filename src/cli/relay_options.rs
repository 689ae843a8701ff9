//! How a relay works, as flags: by the names of [`RelayOptions`].

use std::time::Duration;

use clap::Args;

use crate::outbox::{RelayOptions, WakeListen};

/// How a relay works.
#[derive(Args)]
pub(super) struct RelayOptionArguments {
    /// How long a bucket stays this relay's without renewal, in milliseconds; how long others wait after a crash. Default: 10,000.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_LEASE_TTL_MS", help_heading = RELAY)]
    lease_ttl_ms: Option<u64>,

    /// How long a read, a deletion or the like may take before its connection is taken for dead, in milliseconds. Default: 30,000.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_DATABASE_TIMEOUT_MS", help_heading = RELAY)]
    database_timeout_ms: Option<u64>,

    /// How long the relay waits for acknowledgements when it is told to end, in milliseconds. Default: 10,000.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_SHUTDOWN_TIMEOUT_MS", help_heading = RELAY)]
    shutdown_timeout_ms: Option<u64>,

    /// The most rows read and not yet acknowledged. Default: 8,192.
    #[arg(long, value_name = "N", env = "TIDINGS_RELAY_MAX_IN_FLIGHT_ROWS", help_heading = RELAY)]
    max_in_flight_rows: Option<usize>,

    /// About the most bytes read and not yet acknowledged. Default: 33,554,432.
    #[arg(long, value_name = "BYTES", env = "TIDINGS_RELAY_MAX_IN_FLIGHT_BYTES", help_heading = RELAY)]
    max_in_flight_bytes: Option<usize>,

    /// The most rows of one query. Default: 2,048.
    #[arg(long, value_name = "N", env = "TIDINGS_RELAY_FETCH_ROWS", help_heading = RELAY)]
    fetch_rows: Option<usize>,

    /// How soon to look again after rows were found that nobody had told of, in milliseconds. Default: 5.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_MIN_POLL_MS", help_heading = RELAY)]
    min_poll_ms: Option<u64>,

    /// How soon to look again, in milliseconds, while commits are found that nobody told of. Default: 100.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_MAX_POLL_MS", help_heading = RELAY)]
    max_poll_ms: Option<u64>,

    /// How soon to look again when nothing happens, in milliseconds. Default: 1,000.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_IDLE_POLL_MS", help_heading = RELAY)]
    idle_poll_ms: Option<u64>,

    /// Where services are to tell it of commits, by UDP: an IP address and a port, or off. Default: a port on the loopback.
    #[arg(long, value_name = "ADDRESS:PORT", env = "TIDINGS_WAKE_LISTEN", help_heading = RELAY)]
    wake_listen: Option<WakeListen>,

    /// What services are to send to, where it is not where it listens: a host, or a host and a port.
    #[arg(long, value_name = "HOST[:PORT]", env = "TIDINGS_WAKE_ADVERTISE", help_heading = RELAY)]
    wake_advertise: Option<String>,

    /// Of how many streams to remember the last sequence. Default: 200,000.
    #[arg(long, value_name = "N", env = "TIDINGS_RELAY_REMEMBERED_STREAMS", help_heading = RELAY)]
    remembered_streams: Option<usize>,

    /// How often to measure the backlog, in milliseconds. Default: 15,000.
    #[arg(long, value_name = "MS", env = "TIDINGS_RELAY_REPORT_INTERVAL_MS", help_heading = RELAY)]
    report_interval_ms: Option<u64>,

    /// Whether to warn at startup about settings under which events can be lost. Default: true.
    #[arg(long, value_name = "BOOL", env = "TIDINGS_RELAY_CHECK_DURABILITY", help_heading = RELAY)]
    check_durability: Option<bool>,
}

/// Under what the flags stand in the help.
const RELAY: &str = "Relay";

impl RelayOptionArguments {
    /// `options`, with what was given.
    pub(super) fn change(self, options: RelayOptions) -> RelayOptions {
        let set = |options, number: Option<usize>, set: fn(RelayOptions, usize) -> RelayOptions| {
            number.into_iter().fold(options, set)
        };
        let time = |options, milliseconds: Option<u64>, set: fn(RelayOptions, Duration) -> RelayOptions| {
            milliseconds.map(Duration::from_millis).into_iter().fold(options, set)
        };
        let options = set(options, self.max_in_flight_rows, RelayOptions::max_in_flight_rows);
        let options = set(options, self.max_in_flight_bytes, RelayOptions::max_in_flight_bytes);
        let options = set(options, self.fetch_rows, RelayOptions::fetch_rows);
        let options = set(options, self.remembered_streams, RelayOptions::remembered_streams);
        let options = time(options, self.lease_ttl_ms, RelayOptions::lease_ttl);
        let options = time(options, self.database_timeout_ms, RelayOptions::database_timeout);
        let options = time(options, self.shutdown_timeout_ms, RelayOptions::shutdown_timeout);
        let options = time(options, self.min_poll_ms, RelayOptions::min_poll);
        let options = time(options, self.max_poll_ms, RelayOptions::max_poll);
        let options = time(options, self.idle_poll_ms, RelayOptions::idle_poll);
        let options = time(options, self.report_interval_ms, RelayOptions::report_interval);
        let options = self.wake_listen.into_iter().fold(options, RelayOptions::wake_listen);
        let options = self.wake_advertise.into_iter().fold(options, RelayOptions::wake_advertise);
        self.check_durability.into_iter().fold(options, RelayOptions::check_durability)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: RelayOptionArguments,
    }

    #[test]
    fn each_flag_sets_the_option_of_its_name() {
        let flags = "relay --lease-ttl-ms 6000 --database-timeout-ms 700 --max-in-flight-rows 1 --max-in-flight-bytes 2 \
                     --fetch-rows 3 --min-poll-ms 4 --max-poll-ms 5 --idle-poll-ms 10 --wake-listen 10.0.0.1:7000 \
                     --wake-advertise relay-1.example --remembered-streams 8 --report-interval-ms 9000 \
                     --check-durability false --shutdown-timeout-ms 800";
        let command = Command::try_parse_from(flags.split_whitespace()).unwrap();
        let same: RelayOptions = serde_json::from_str(
            r#"{"max_in_flight_rows": 1, "max_in_flight_bytes": 2, "fetch_rows": 3, "min_poll_ms": 4, "max_poll_ms": 5,
                "idle_poll_ms": 10, "wake_listen": "10.0.0.1:7000", "wake_advertise": "relay-1.example",
                "lease_ttl_ms": 6000, "database_timeout_ms": 700, "remembered_streams": 8, "report_interval_ms": 9000,
                "check_durability": false, "shutdown_timeout_ms": 800}"#,
        )
        .unwrap();
        assert_eq!(command.options.change(RelayOptions::default()), same);
        let none = Command::try_parse_from(["relay"]).unwrap();
        assert_eq!(none.options.change(RelayOptions::default()), RelayOptions::default());
    }
}
