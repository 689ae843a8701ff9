//! The demo: `make demo`.
//!
//! A service `accounts` changes players in transactions and publishes what happened; a service `leaderboards` handles the
//! events, keyed by user id, with annotated methods. Everything is counted: the demo fails if an event is lost or out of order.
//!
//! What a service would contain is in `events`, `player`, `accounts` and `leaderboards`; the rest puts load on them and counts.
#![allow(missing_docs, reason = "an example is a program, not a library")]
#![allow(unreachable_pub, reason = "its modules are written as a service's would be")]

mod accounts;
mod arguments;
mod audit;
mod error;
mod event_store;
mod events;
mod leaderboards;
mod ledger;
mod load;
mod platform;
mod player;
mod progress;
mod report;
mod round;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use tidings::clock::{Clock as _, SystemClock};
use tidings::consumer::{Consumer, ConsumerHandle, ConsumerOptions, RunError};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;
use crate::audit::{Ledgers, PlayerIds};
use crate::error::DemoError;
use crate::leaderboards::{Board, Leaderboards, Ranking};
use crate::platform::Platform;
use crate::progress::Progress;
use crate::report::Report;
use crate::round::Round;

/// How many ids a run has: more than it can have players.
const IDS_A_RUN: i64 = 1_000_000;
/// How long joining the consumer group may take.
const JOINING: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(&arguments);
    let ended = tokio::select! {
        ended = demo(&arguments) => ended,
        _ = tokio::signal::ctrl_c() => Err(DemoError::failed("interrupted")),
    };
    match ended {
        Ok(passed) => ExitCode::from(u8::from(!passed)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit)
        }
    }
}

/// Run the demo and print how it ended; whether all promises were kept.
async fn demo(arguments: &Arguments) -> Result<bool, DemoError> {
    arguments.check().map_err(DemoError::usage)?;
    let mut progress = Progress::new();
    let platform = Platform::open(arguments).await?;
    progress.say(&format!("tidings demo on {}", platform.description));

    let rounds = rounds(arguments)?;
    let board = Arc::<Board>::default();
    let consumer = consumer(arguments, &platform, &rounds, &board).await?;
    let handle = consumer.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut consuming = tokio::spawn(consumer.run_until(async {
        let _ = stopped.await;
    }));

    let work = async {
        joined(&handle, &platform).await?;
        let mut outcomes = Vec::new();
        for round in &rounds {
            outcomes.push(round.run(arguments, &platform, &handle, &board, &mut progress).await?);
        }
        Ok::<_, DemoError>(outcomes)
    };
    let outcomes = tokio::select! {
        outcomes = work => outcomes?,
        ended = &mut consuming => return Err(ended_early(ended)),
    };
    let _ = stop.send(());
    consuming.await??;

    let report = Report::of(outcomes)?.ok_or_else(|| DemoError::usage("there is nothing to do"))?;
    print(&report, arguments, &progress)?;
    Ok(report.total.passed())
}

/// Each mode's share of the work, with players no other run has.
fn rounds(arguments: &Arguments) -> Result<Vec<Round>, DemoError> {
    let mut first = SystemClock::new().now().timestamp_millis() * IDS_A_RUN;
    let mut rounds = Vec::new();
    for share in arguments.shares() {
        let end = first.saturating_add_unsigned(share.players);
        rounds.push(Round::new(share, PlayerIds(first..end), arguments.max_lag)?);
        first = end;
    }
    Ok(rounds)
}

/// The service `leaderboards`. Its group is this run's own; events of other runs are skipped without being decoded.
async fn consumer(
    arguments: &Arguments,
    platform: &Platform,
    rounds: &[Round],
    board: &Arc<Board>,
) -> Result<Consumer, DemoError> {
    let mut ledgers = Ledgers::default();
    for round in rounds {
        ledgers.add(round.players.clone(), Arc::clone(&round.ledger));
    }
    let ledgers = Arc::new(ledgers);
    let service = arguments.name("leaderboards");
    let run = rounds.first().map_or(0, |round| round.players.0.start / IDS_A_RUN);
    let options =
        ConsumerOptions::new(&service).kafka(platform.consumer_kafka()).dead_letter_topic(&platform.dead_letters);
    let leaderboards = Leaderboards { board: Arc::clone(board), ranking: Ranking::default() };
    let known = Arc::clone(&ledgers);
    let consumer = Consumer::builder(options)
        .codec(platform.codec.clone())
        .state::<Ledgers>(ledgers)
        .dispatch_with(leaderboards, |settings| {
            settings
                .source(platform.topic.name())
                .group(format!("{service}.Leaderboards.{run}"))
                .filter(move |envelope| known.knows(envelope.key()))
        })
        .build()
        .await?;
    Ok(consumer)
}

/// Wait until the consumer has all partitions, so that joining its group is not taken for latency.
async fn joined(consumer: &ConsumerHandle, platform: &Platform) -> Result<(), DemoError> {
    let partitions = u64::from(platform.topic.partitions());
    let joining = async {
        while consumer.stats().assigned < partitions {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let late = |_| DemoError::failed(format!("the consumer group was not joined within {} s", JOINING.as_secs()));
    tokio::time::timeout(JOINING, joining).await.map_err(late)
}

fn ended_early(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> DemoError {
    match ended {
        Ok(Ok(())) => DemoError::failed("the consumer stopped though nobody asked it to"),
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    }
}

fn print(report: &Report, arguments: &Arguments, progress: &Progress) -> Result<(), DemoError> {
    let text = format!("\n{}\n\n{}", report.table(), report.summary());
    let mut stdout = std::io::stdout().lock();
    if arguments.json {
        progress.say(&text);
        writeln!(stdout, "{}", report.json().map_err(DemoError::failed)?)?;
    } else {
        writeln!(stdout, "{text}")?;
    }
    Ok(())
}

/// `RUST_LOG` chooses; by default errors only in the embedded mode, whose one broker and one file nobody relies on.
fn log(arguments: &Arguments) {
    let real = arguments.brokers.is_some() || arguments.database.is_some();
    // Retries are made to happen here, and counted; the log need not tell of each.
    let default = if real { "warn,librdkafka=error,sqlx=error,tidings::consumer=error" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
}
