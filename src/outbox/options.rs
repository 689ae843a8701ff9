//! How a relay works.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// How a relay works. A service may read them from a file of its own, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `max_in_flight_rows` | 8,192 | rows |
/// | `max_in_flight_bytes` | 32 MiB | bytes |
/// | `fetch_rows` | 2,048 | rows |
/// | `min_poll_ms` | 5 | milliseconds |
/// | `max_poll_ms` | 100 | milliseconds |
/// | `idle_poll_ms` | 1,000 | milliseconds |
/// | `wake_listen` | `127.0.0.1:0` | an address and a port, or `off` |
/// | `wake_advertise` | none: where it listens | `HOST` or `HOST:PORT` |
/// | `lease_ttl_ms` | 10,000 | milliseconds |
/// | `database_timeout_ms` | 30,000 | milliseconds |
/// | `shutdown_timeout_ms` | 10,000 | milliseconds |
/// | `remembered_streams` | 200,000 | streams |
/// | `report_interval_ms` | 15,000 | milliseconds |
/// | `check_durability` | true | |
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayOptions {
    pub(crate) max_in_flight_rows: usize,
    pub(crate) max_in_flight_bytes: usize,
    pub(crate) fetch_rows: usize,
    #[serde(rename = "min_poll_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) min_poll: Duration,
    #[serde(rename = "max_poll_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) max_poll: Duration,
    #[serde(rename = "idle_poll_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) idle_poll: Duration,
    pub(crate) wake_listen: WakeListen,
    pub(crate) wake_advertise: Option<String>,
    #[serde(rename = "lease_ttl_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) lease_ttl: Duration,
    #[serde(rename = "database_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) database_timeout: Duration,
    #[serde(rename = "shutdown_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) shutdown_timeout: Duration,
    pub(crate) remembered_streams: usize,
    #[serde(rename = "report_interval_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) report_interval: Duration,
    pub(crate) check_durability: bool,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            max_in_flight_rows: 8_192,
            max_in_flight_bytes: 32 * 1_024 * 1_024,
            fetch_rows: 2_048,
            min_poll: Duration::from_millis(5),
            max_poll: Duration::from_millis(100),
            idle_poll: Duration::from_secs(1),
            wake_listen: WakeListen::default(),
            wake_advertise: None,
            lease_ttl: Duration::from_secs(10),
            database_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(10),
            remembered_streams: 200_000,
            report_interval: Duration::from_secs(15),
            check_durability: true,
        }
    }
}

impl RelayOptions {
    /// The most rows read and not yet acknowledged. Default: 8,192.
    pub fn max_in_flight_rows(mut self, rows: usize) -> Self {
        self.max_in_flight_rows = rows.max(1);
        self
    }

    /// About the most bytes read and not yet acknowledged; one row may exceed it. Default: 32 MiB.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.max_in_flight_bytes = bytes.max(1);
        self
    }

    /// The most rows of one query. Default: 2,048.
    pub fn fetch_rows(mut self, rows: usize) -> Self {
        self.fetch_rows = rows.max(1);
        self
    }

    /// How soon to look again after rows were found that nobody had told of. Default: 5 ms. What is told is seen at once anyway.
    pub fn min_poll(mut self, pause: Duration) -> Self {
        self.min_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// How soon to look again when nothing happens, while there is reason to think that commits are not told of: for ten minutes
    /// after rows were found that nobody had told of. Default: 100 ms.
    pub fn max_poll(mut self, pause: Duration) -> Self {
        self.max_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// How soon to look again when nothing happens and every commit has been told of. Default: 1 s.
    pub fn idle_poll(mut self, pause: Duration) -> Self {
        self.idle_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// Where to be told of commits in other processes, by UDP. Default: a port of the system's choice on the loopback. Relays that
    /// serve other machines name an address that these can reach; what is sent there is checked, and can do no more than make the
    /// relay look.
    pub fn wake_listen(mut self, listen: WakeListen) -> Self {
        self.wake_listen = listen;
        self
    }

    /// What to tell others to send to, where it is not where the relay [listens](Self::wake_listen): a host, or a host and a port.
    /// Default: where it listens.
    pub fn wake_advertise(mut self, place: impl Into<String>) -> Self {
        self.wake_advertise = Some(place.into());
        self
    }

    /// How long a bucket stays this relay's without renewal, by the database's clock; how long others wait after a crash.
    /// Renewed each third of it. Default: 10 s.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl.max(Duration::from_millis(100));
        self
    }

    /// How long a read, a deletion or the like may take before its connection is taken for dead: the relay goes on with new ones. The
    /// leases wait for no longer than they last. Default: 30 s.
    pub fn database_timeout(mut self, timeout: Duration) -> Self {
        self.database_timeout = timeout.max(Duration::from_millis(100));
        self
    }

    /// How long to wait for acknowledgements when shutting down. What is not acknowledged by then is published again by the
    /// next owner. Default: 10 s.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Of how many streams to remember the last sequence. The next event of a stream that is forgotten costs a second query.
    /// Default: 200,000.
    pub fn remembered_streams(mut self, streams: usize) -> Self {
        self.remembered_streams = streams;
        self
    }

    /// How often to measure the backlog and the age of its oldest row; more seldom where that takes long, a twentieth of the time, and
    /// every two minutes at the least. Default: 15 s.
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval.max(Duration::from_millis(100));
        self
    }

    /// Whether to warn at startup about settings of the database and the topics under which events can be lost.
    /// Default: yes.
    pub fn check_durability(mut self, check: bool) -> Self {
        self.check_durability = check;
        self
    }
}

impl RelayOptions {
    /// As the setters would have it: a file may say 0.
    pub(crate) fn bounded(self) -> Self {
        let Self { max_in_flight_rows, max_in_flight_bytes, fetch_rows, .. } = self;
        let Self { min_poll, max_poll, idle_poll, lease_ttl, database_timeout, report_interval, .. } = self;
        self.max_in_flight_rows(max_in_flight_rows)
            .max_in_flight_bytes(max_in_flight_bytes)
            .fetch_rows(fetch_rows)
            .min_poll(min_poll)
            .max_poll(max_poll)
            .idle_poll(idle_poll)
            .lease_ttl(lease_ttl)
            .database_timeout(database_timeout)
            .report_interval(report_interval)
    }
}

/// Where a relay is told of commits in other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum WakeListen {
    /// On this address. Written `HOST:PORT`, in numbers; port 0 lets the system choose.
    On(SocketAddr),
    /// Nowhere: it looks by itself, every [`max_poll`](RelayOptions::max_poll). Written `off`.
    Off,
}

impl WakeListen {
    pub(crate) const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::On(address) => Some(address),
            Self::Off => None,
        }
    }
}

impl Default for WakeListen {
    fn default() -> Self {
        Self::On(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }
}

/// A text that says not where to listen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address to listen on: write an IP address and a port, such as 10.0.0.1:7000, or off")]
pub struct UnknownWakeListen(String);

impl FromStr for WakeListen {
    type Err = UnknownWakeListen;

    fn from_str(text: &str) -> Result<Self, UnknownWakeListen> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::On).map_err(|_| UnknownWakeListen(text.to_owned())),
        }
    }
}

impl TryFrom<String> for WakeListen {
    type Error = UnknownWakeListen;

    fn try_from(text: String) -> Result<Self, UnknownWakeListen> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_the_names_documented() {
        let options: RelayOptions = serde_json::from_str(
            r#"{"max_in_flight_rows": 1, "max_in_flight_bytes": 2, "fetch_rows": 3, "min_poll_ms": 4, "max_poll_ms": 5,
                "idle_poll_ms": 10, "wake_listen": "10.0.0.1:7000", "wake_advertise": "relay-1.example",
                "lease_ttl_ms": 6000, "database_timeout_ms": 700, "shutdown_timeout_ms": 7, "remembered_streams": 8, "report_interval_ms": 9000,
                "check_durability": false}"#,
        )
        .unwrap();
        let expected = RelayOptions::default()
            .max_in_flight_rows(1)
            .max_in_flight_bytes(2)
            .fetch_rows(3)
            .min_poll(Duration::from_millis(4))
            .max_poll(Duration::from_millis(5))
            .idle_poll(Duration::from_millis(10))
            .wake_listen(WakeListen::On("10.0.0.1:7000".parse().unwrap()))
            .wake_advertise("relay-1.example")
            .lease_ttl(Duration::from_secs(6))
            .database_timeout(Duration::from_millis(700))
            .shutdown_timeout(Duration::from_millis(7))
            .remembered_streams(8)
            .report_interval(Duration::from_secs(9))
            .check_durability(false);
        assert_eq!(options, expected);
        assert_eq!(serde_json::from_str::<RelayOptions>("{}").unwrap(), RelayOptions::default());
        assert!(serde_json::from_str::<RelayOptions>(r#"{"lease_ttl": 6}"#).is_err());
    }

    #[test]
    fn a_file_cannot_go_below_what_the_setters_allow() {
        let zeros = r#"{"max_in_flight_rows": 0, "fetch_rows": 0, "min_poll_ms": 0, "lease_ttl_ms": 0}"#;
        let options = serde_json::from_str::<RelayOptions>(zeros).unwrap().bounded();
        assert_eq!((options.max_in_flight_rows, options.fetch_rows), (1, 1));
        assert_eq!((options.min_poll, options.lease_ttl), (Duration::from_millis(1), Duration::from_millis(100)));
    }
}
