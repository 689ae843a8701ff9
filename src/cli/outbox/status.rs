//! `tidings outbox status`.

use clap::Args;
use serde::Serialize;

use super::PlaceArguments;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::outbox::{BucketStatus, HeldTopic, OutboxStatus, status};

/// Show the relays of an outbox: which buckets each owns, how many events wait in them, and for how long.
///
/// It counts every event that waits.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings outbox status --database mysql://accounts@db.example/accounts
  tidings outbox status -o json | jq 'map(select(.owner == null))'")]
pub(super) struct StatusArguments {
    /// A row for each bucket that has events, or no owner, in place of one for each relay.
    #[arg(long)]
    buckets: bool,

    /// A row for each topic that takes no events, and why, in place of one for each relay. Their events wait.
    #[arg(long, conflicts_with = "buckets")]
    held: bool,

    #[command(flatten)]
    place: PlaceArguments,
}

/// What a relay owns, or one bucket.
#[derive(Serialize)]
struct Row {
    /// The relay; null for what nobody owns.
    owner: Option<String>,
    /// Where it is told of commits.
    address: Option<String>,
    /// How many buckets; with --buckets, which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<u8>,
    rows: u64,
    oldest_seconds: Option<f64>,
}

pub(super) async fn run(arguments: &StatusArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let database = arguments.place.open(settings).await?;
    let found = status(&database).await;
    database.close().await;
    let found = found?;
    let format = arguments.place.output;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let age = |row: &Row| row.oldest_seconds.map_or_else(|| "-".to_owned(), |age| format!("{age:.1} s"));
    if arguments.held {
        let columns = ["TOPIC", "TARGET", "SINCE", "RETRY", "REASON"];
        output::rows(printer, format, &found.held_topics, columns, |held| {
            let HeldTopic { topic, target, reason, held_for, retry_in } = held;
            let ago = |time: &std::time::Duration| format!("{:.1} s", time.as_secs_f64());
            [topic.clone(), target.clone(), ago(held_for), ago(retry_in), reason.clone()]
        })?;
    } else if arguments.buckets {
        let of_interest = |bucket: &&BucketStatus| bucket.rows > 0 || bucket.owner.is_none();
        let rows: Vec<Row> = found.buckets.iter().filter(of_interest).map(of_bucket).collect();
        output::rows(printer, format, &rows, ["BUCKET", "ROWS", "OLDEST", "OWNER", "ADDRESS"], |row| {
            let bucket = row.bucket.unwrap_or_default().to_string();
            [bucket, row.rows.to_string(), age(row), text(&row.owner), text(&row.address)]
        })?;
    } else {
        let rows = of_owners(&found);
        output::rows(printer, format, &rows, ["OWNER", "ADDRESS", "BUCKETS", "ROWS", "OLDEST"], |row| {
            let buckets = row.buckets.unwrap_or_default().to_string();
            [text(&row.owner), text(&row.address), buckets, row.rows.to_string(), age(row)]
        })?;
    }
    for HeldTopic { topic, reason, held_for, .. } in &found.held_topics {
        printer.note(&format!(
            "the topic {topic} has taken no events for {} s, and they wait: {reason}",
            held_for.as_secs()
        ));
    }
    let (rows, parked, unowned) = (found.rows(), found.parked, found.unowned());
    printer.note(&format!("{rows} events wait, {parked} are parked, {unowned} buckets have no owner"));
    Ok(())
}

fn of_bucket(bucket: &BucketStatus) -> Row {
    Row {
        owner: bucket.owner.clone(),
        address: bucket.address.clone(),
        buckets: None,
        bucket: Some(bucket.bucket),
        rows: bucket.rows,
        oldest_seconds: bucket.oldest.map(|oldest| oldest.as_secs_f64()),
    }
}

fn of_owners(status: &OutboxStatus) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for bucket in &status.buckets {
        let this = of_bucket(bucket);
        match rows.iter_mut().find(|row| row.owner == bucket.owner) {
            Some(row) => {
                row.buckets = row.buckets.map(|buckets| buckets + 1);
                row.rows += this.rows;
                row.oldest_seconds = row.oldest_seconds.into_iter().chain(this.oldest_seconds).reduce(f64::max);
            }
            None => rows.push(Row { buckets: Some(1), bucket: None, ..this }),
        }
    }
    rows
}
