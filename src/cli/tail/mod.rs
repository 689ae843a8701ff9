//! `tidings tail`: look at a topic, and at what comes.

mod rows;
mod window;

use std::pin::pin;
use std::time::Duration;

use clap::Args;

use self::rows::Rows;
use self::window::Window;
use super::error::CliError;
use super::masking::{MaskingArguments, PayloadView};
use super::output::OutputFormat;
use super::position::{Position, Span};
use super::printer::Printer;
use super::record_line::{Payload, RecordLine};
use super::schemas::Schemas;
use super::settings::{KafkaArguments, RegistryArguments, SchemasArguments, Settings};
use crate::consumer::terminated;
use crate::envelope::EnvelopeView;
use crate::transport::Record;
use crate::transport::kafka::reader::{KafkaReader, ReadError};

/// Records taken from a partition at a time.
const BATCH: usize = 256;
/// How often an idle reader is asked whether something is wrong.
const CHECK: Duration = Duration::from_secs(1);

/// Look at a topic: the last events of each partition, then what comes
///
/// Payloads are decoded with the schema registry's schemas, or with those of
/// a folder; what cannot be decoded is shown as base64 with the reason. It
/// joins no consumer group and commits nothing.
///
/// A place, for --from and --to, is one of
///   start                     the oldest record
///   end                       behind the newest record
///   1200                      this offset
///   +10                       10 records behind the start
///   -10                       10 records before the end
///   @2026-01-31T09:00:00Z     the first record not older than that; also @2026-01-31 and @-1h
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings tail accounts
  tidings tail accounts --event accounts.UserUpdated --key 42 --from start
  tidings tail accounts --from @-1h:end -o jsonl | jq .payload
  tidings tail accounts --from start --no-follow --unmask -o jsonl > backup.jsonl"
)]
pub(super) struct TailArguments {
    /// The topic.
    topic: String,

    /// Where to begin, in each partition. FROM:TO says where to end as well.
    #[arg(long, short, value_name = "PLACE", default_value = "-10", allow_hyphen_values = true)]
    from: Span,

    /// Where to end, in each partition; that place itself is not shown. Default: go on until stopped.
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    to: Option<Position>,

    /// End when everything that is there was shown.
    #[arg(long)]
    no_follow: bool,

    /// End after so many records.
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,

    /// Only these partitions; may be repeated, or separated by commas.
    #[arg(long, short, value_name = "N", value_delimiter = ',')]
    partition: Vec<i32>,

    /// Only records with this key.
    #[arg(long, short, value_name = "KEY")]
    key: Option<String>,

    /// Only events of this name; may be repeated. A * at the end stands for any rest.
    #[arg(long, short, value_name = "NAME")]
    event: Vec<String>,

    /// How records are written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    /// Show headers in the table too.
    #[arg(long)]
    headers: bool,

    /// How long the brokers may take to answer at first, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,

    #[command(flatten)]
    masking: MaskingArguments,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    kafka: KafkaArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

pub(super) async fn run(arguments: TailArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    if arguments.to.is_some() && arguments.from.to.is_some() {
        return Err(CliError::usage("the end is said twice: in --from FROM:TO and in --to; remove one"));
    }
    let kafka = settings.kafka(&arguments.kafka)?;
    let schemas = Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options).await?;
    if schemas.registry.is_none() && schemas.files.is_empty() {
        printer.warning(
            "there is no schema registry and no folder of schemas, so no payload can be decoded; give --registry",
        );
    }
    let view = PayloadView::new(&schemas, &arguments.masking, printer);
    let topic = arguments.topic.clone();
    let timeout = Duration::from_secs(arguments.timeout.max(1));
    let wanted = Wanted::of(&arguments);
    let to = arguments.to.or(arguments.from.to);
    let (from, partitions) = (arguments.from.from, arguments.partition.clone());
    let no_follow = arguments.no_follow;
    // Finding the topic blocks.
    let opened = tokio::task::spawn_blocking(move || {
        let mut reader = KafkaReader::open(&kafka, &topic, timeout)?;
        let window = Window::find(&reader, &topic, &partitions, from, to, no_follow, timeout)?;
        reader.start(&window.beginnings())?;
        Ok::<_, CliError>((reader, window))
    });
    let (mut reader, mut window) = opened.await.map_err(|error| CliError::failed(&error))??;
    let mut rows = Rows::new(arguments.output, arguments.headers);
    rows.begin(printer)?;
    let shown = follow(&mut reader, &mut window, &view, &wanted, &mut rows, printer).await;
    // Dropping it blocks; what is printed does not wait for that.
    tokio::task::spawn_blocking(move || drop(reader));
    shown.and_then(|()| rows.end(printer))
}

async fn follow(
    reader: &mut KafkaReader,
    window: &mut Window,
    view: &PayloadView,
    wanted: &Wanted,
    rows: &mut Rows,
    printer: &Printer,
) -> Result<(), CliError> {
    let mut stopped = pin!(terminated());
    let mut records = Vec::with_capacity(BATCH);
    let mut left = wanted.count.unwrap_or(u64::MAX);
    let mut troubled = false;
    while left > 0 && !window.is_done() {
        let mut idle = true;
        for partition in window.open_partitions() {
            let fetched = reader.fetch(partition, BATCH, &mut records)?;
            for record in records.drain(..) {
                idle = false;
                if !window.admits(partition, record.offset) || left == 0 {
                    continue;
                }
                if let Some(line) = wanted.line(&record, view).await {
                    rows.row(&line, printer)?;
                    left -= 1;
                }
            }
            window.fetched(partition, fetched);
            if window.is_closed(partition) {
                reader.stop(partition);
            }
        }
        if !idle {
            if troubled {
                troubled = false;
                reader.recovered();
            }
            // A long backlog must not keep a signal waiting.
            tokio::task::yield_now().await;
            if futures_util::FutureExt::now_or_never(stopped.as_mut()).is_some() {
                break;
            }
            continue;
        }
        if left == 0 || window.is_done() {
            break;
        }
        printer.flush()?;
        tokio::select! {
            () = &mut stopped => break,
            () = reader.ready() => {}
            () = tokio::time::sleep(CHECK) => {
                if let Some(reason) = reader.trouble().filter(|_| !troubled) {
                    troubled = true;
                    printer.warning(&format!("a broker does not answer; still trying ({reason})"));
                }
            }
        }
    }
    Ok(())
}

/// Which records are shown.
struct Wanted {
    key: Option<String>,
    events: Vec<String>,
    count: Option<u64>,
}

impl Wanted {
    fn of(arguments: &TailArguments) -> Self {
        Self { key: arguments.key.clone(), events: arguments.event.clone(), count: arguments.count }
    }

    /// `record` as it is shown; `None` when it is not wanted.
    async fn line(&self, record: &Record, view: &PayloadView) -> Option<RecordLine> {
        if self.key.as_ref().is_some_and(|key| record.key.as_deref() != Some(key.as_bytes())) {
            return None;
        }
        let named = EnvelopeView::new(&record.headers).event();
        if named.is_some_and(|event| !self.takes(event)) {
            return None;
        }
        let payload = Payload::of(record, view).await;
        // A record without the header is named by its schema.
        if named.is_none() && !self.events.is_empty() {
            match &payload {
                Payload::Decoded { record, .. } if self.takes(record) => {}
                _ => return None,
            }
        }
        Some(RecordLine::new(record, payload))
    }

    fn takes(&self, event: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => event.starts_with(beginning),
            None => event == pattern,
        };
        self.events.is_empty() || self.events.iter().any(matches)
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Kafka(error) => error.into(),
            _ => Self::failed(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_wanted_by_name_or_by_its_beginning() {
        let wanted = |events: &[&str]| Wanted {
            key: None,
            events: events.iter().map(ToString::to_string).collect(),
            count: None,
        };
        assert!(wanted(&[]).takes("accounts.UserUpdated"));
        assert!(wanted(&["a", "accounts.UserUpdated"]).takes("accounts.UserUpdated"));
        assert!(wanted(&["accounts.User*"]).takes("accounts.UserUpdated"));
        assert!(!wanted(&["accounts.User"]).takes("accounts.UserUpdated"));
    }
}
