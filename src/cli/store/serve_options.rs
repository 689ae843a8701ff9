//! How a store works and is offered, as flags: by the names of [`StoreOptions`] and [`ServiceOptions`].

use std::time::Duration;

use clap::Args;

use crate::store::{ServiceOptions, StoreOptions};

/// How a store works, and how much of it there is for callers.
#[derive(Args)]
pub(super) struct ServeOptionArguments {
    /// How many transactions append at once. Default: 4.
    #[arg(long, value_name = "N", env = "TIDINGS_STORE_LANES", help_heading = STORE)]
    lanes: Option<usize>,

    /// The most events one transaction appends. Default: 512.
    #[arg(long, value_name = "N", env = "TIDINGS_STORE_MAX_BATCH_EVENTS", help_heading = STORE)]
    max_batch_events: Option<usize>,

    /// About the most bytes one transaction appends. Default: 4,194,304.
    #[arg(long, value_name = "BYTES", env = "TIDINGS_STORE_MAX_BATCH_BYTES", help_heading = STORE)]
    max_batch_bytes: Option<usize>,

    /// How many events may wait before appends are refused. Default: 16,384.
    #[arg(long, value_name = "N", env = "TIDINGS_STORE_MAX_QUEUED_EVENTS", help_heading = STORE)]
    max_queued_events: Option<usize>,

    /// About how many bytes may wait before appends are refused. Default: 67,108,864.
    #[arg(long, value_name = "BYTES", env = "TIDINGS_STORE_MAX_QUEUED_BYTES", help_heading = STORE)]
    max_queued_bytes: Option<usize>,

    /// The largest event, in bytes; at most 25,165,824. Default: 1,048,576.
    #[arg(long, value_name = "BYTES", env = "TIDINGS_STORE_MAX_EVENT_BYTES", help_heading = STORE)]
    max_event_bytes: Option<usize>,

    /// About how many bytes all readers together hold ready; beyond it each reads one event at a time. Default: 268,435,456.
    #[arg(long, value_name = "BYTES", env = "TIDINGS_STORE_MAX_PAGE_BYTES", help_heading = STORE)]
    max_page_bytes: Option<usize>,

    /// How long a replica that gives out positions stays that without renewal, in milliseconds. Default: 5,000.
    #[arg(long, value_name = "MS", env = "TIDINGS_STORE_LEASE_TTL_MS", help_heading = STORE)]
    store_lease_ttl_ms: Option<u64>,

    /// How soon to look for what other replicas appended, in milliseconds. Default: 20.
    #[arg(long, value_name = "MS", env = "TIDINGS_STORE_POLL_MS", help_heading = STORE)]
    poll_ms: Option<u64>,

    /// How many calls of one connection run at once; the others wait. Default: 1,024.
    #[arg(long, value_name = "N", env = "TIDINGS_STORE_MAX_CALLS", help_heading = STORE)]
    max_calls: Option<u32>,

    /// How many requests that bring events are received at once; more are refused unread. Default: 1,024.
    #[arg(long, value_name = "N", env = "TIDINGS_STORE_MAX_INCOMING", help_heading = STORE)]
    max_incoming: Option<usize>,

    /// How many bytes of requests that bring events are held while these are received; more are refused. Default: 268,435,456.
    #[arg(long, value_name = "BYTES", env = "TIDINGS_STORE_MAX_INCOMING_BYTES", help_heading = STORE)]
    max_incoming_bytes: Option<usize>,

    /// How many reads, subscriptions and waits for an event go on at once; more are refused. Default: 4,096.
    #[arg(long, value_name = "N", env = "TIDINGS_STORE_MAX_LISTENERS", help_heading = STORE)]
    max_listeners: Option<usize>,
}

/// Under what the flags stand in the help.
const STORE: &str = "Event store";

impl ServeOptionArguments {
    /// `options`, with what was given.
    pub(super) fn change(&self, options: StoreOptions) -> StoreOptions {
        let set = |options, number: Option<usize>, set: fn(StoreOptions, usize) -> StoreOptions| {
            number.into_iter().fold(options, set)
        };
        let time = |options, milliseconds: Option<u64>, set: fn(StoreOptions, Duration) -> StoreOptions| {
            milliseconds.map(Duration::from_millis).into_iter().fold(options, set)
        };
        let options = set(options, self.lanes, StoreOptions::lanes);
        let options = set(options, self.max_batch_events, StoreOptions::max_batch_events);
        let options = set(options, self.max_batch_bytes, StoreOptions::max_batch_bytes);
        let options = set(options, self.max_queued_events, StoreOptions::max_queued_events);
        let options = set(options, self.max_queued_bytes, StoreOptions::max_queued_bytes);
        let options = set(options, self.max_event_bytes, StoreOptions::max_event_bytes);
        let options = set(options, self.max_page_bytes, StoreOptions::max_page_bytes);
        let options = time(options, self.store_lease_ttl_ms, StoreOptions::lease_ttl);
        time(options, self.poll_ms, StoreOptions::poll)
    }

    /// The service's `options`, with what was given.
    pub(super) fn change_service(&self, options: ServiceOptions) -> ServiceOptions {
        let options = self.max_calls.into_iter().fold(options, ServiceOptions::max_calls);
        let options = self.max_incoming.into_iter().fold(options, ServiceOptions::max_incoming);
        let options = self.max_incoming_bytes.into_iter().fold(options, ServiceOptions::max_incoming_bytes);
        self.max_listeners.into_iter().fold(options, ServiceOptions::max_listeners)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: ServeOptionArguments,
    }

    #[test]
    fn each_flag_sets_the_option_of_its_name() {
        let flags = "serve --lanes 2 --max-batch-events 3 --max-batch-bytes 4 --max-queued-events 5 --max-queued-bytes 6 \
                     --max-event-bytes 7 --max-page-bytes 14 --store-lease-ttl-ms 8000 --poll-ms 9 --max-calls 10 --max-incoming 11 \
                     --max-listeners 12 --max-incoming-bytes 13";
        let command = Command::try_parse_from(flags.split_whitespace()).unwrap();
        let same: StoreOptions = serde_json::from_str(
            r#"{"lanes": 2, "max_batch_events": 3, "max_batch_bytes": 4, "max_queued_events": 5, "max_queued_bytes": 6,
                "max_event_bytes": 7, "max_page_bytes": 14, "lease_ttl_ms": 8000, "poll_ms": 9}"#,
        )
        .unwrap();
        assert_eq!(command.options.change(StoreOptions::default()), same);
        let service = command.options.change_service(ServiceOptions::new(([127, 0, 0, 1], 1).into()));
        let shown = format!("{service:?}");
        assert!(
            ["max_calls: 10", "max_incoming: 11", "max_listeners: 12", "max_incoming_bytes: 13"]
                .iter()
                .all(|text| shown.contains(text)),
            "{shown}"
        );
        let none = Command::try_parse_from(["serve"]).unwrap();
        assert_eq!(none.options.change(StoreOptions::default()), StoreOptions::default());
    }
}
