//! How a relay works.

use std::time::Duration;

/// How a relay works.
///
/// | option | default |
/// | --- | --- |
/// | `max_in_flight_rows` | 8,192 |
/// | `max_in_flight_bytes` | 32 MiB |
/// | `fetch_rows` | 2,048 |
/// | `min_poll` | 5 ms |
/// | `max_poll` | 100 ms |
/// | `lease_ttl` | 10 s |
/// | `shutdown_timeout` | 10 s |
/// | `remembered_streams` | 200,000 |
/// | `report_interval` | 15 s |
/// | `check_durability` | yes |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayOptions {
    pub(crate) max_in_flight_rows: usize,
    pub(crate) max_in_flight_bytes: usize,
    pub(crate) fetch_rows: usize,
    pub(crate) min_poll: Duration,
    pub(crate) max_poll: Duration,
    pub(crate) lease_ttl: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) remembered_streams: usize,
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
            lease_ttl: Duration::from_secs(10),
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

    /// How soon to look again after rows were found. Default: 5 ms. A commit in this process is seen at once anyway.
    pub fn min_poll(mut self, pause: Duration) -> Self {
        self.min_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// How soon to look again when nothing happens. Default: 100 ms.
    pub fn max_poll(mut self, pause: Duration) -> Self {
        self.max_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// How long a bucket stays this relay's without renewal, by the database's clock; how long others wait after a crash.
    /// Renewed each third of it. Default: 10 s.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl.max(Duration::from_millis(100));
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

    /// How often to measure the backlog and the age of its oldest row. Default: 15 s.
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
