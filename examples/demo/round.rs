//! One delivery mode's turn: load on, wait until everything is handled, count.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidings::consumer::{ConsumerHandle, ConsumerStats};
use tidings::outbox::{KafkaProducers, Relay, RelayHandle, RelayOptions};
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};
use tokio::sync::Semaphore;

use crate::accounts::{Accounts, Release};
use crate::arguments::{Arguments, Share};
use crate::audit::PlayerIds;
use crate::error::DemoError;
use crate::event_store::Store;
use crate::leaderboards::Board;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::platform::Platform;
use crate::progress::{Progress, Snapshot};
use crate::report::Outcome;

/// How often to look how it gets on.
const LOOK: Duration = Duration::from_millis(20);
/// How long nothing may come before it is believed that nothing more comes: a repeat would follow closely.
const QUIET: Duration = Duration::from_millis(300);

/// One delivery mode's turn.
#[derive(Debug)]
pub struct Round {
    pub share: Share,
    pub players: PlayerIds,
    pub ledger: Arc<Ledger>,
    room: Arc<Semaphore>,
}

impl Round {
    pub fn new(share: Share, players: PlayerIds, max_lag: u32) -> Result<Self, DemoError> {
        let room = Arc::new(Semaphore::new(usize::try_from(max_lag).unwrap_or(usize::MAX)));
        let ledger = Arc::new(Ledger::new(Arc::clone(&room))?);
        Ok(Self { share, players, ledger, room })
    }

    /// Run it, while `consumer` handles.
    pub async fn run(
        &self,
        arguments: &Arguments,
        platform: &Platform,
        consumer: &ConsumerHandle,
        board: &Board,
        progress: &mut Progress,
    ) -> Result<Outcome, DemoError> {
        let options = PublisherOptions::new(platform.topic.name()).kafka(platform.kafka.clone()).mode(self.share.mode);
        let publisher =
            Publisher::builder(options).codec(platform.codec.clone()).topic(platform.topic.clone()).build().await?;
        let database = platform.database.clone().with_publisher(&publisher);
        let options = RelayOptions::default().check_durability(!platform.is_embedded());
        let mut store = None;
        let relay = match self.share.mode {
            DeliveryMode::Outbox => {
                let producers = KafkaProducers::new(platform.kafka.clone()).topic(platform.topic.name());
                Some(Relay::new(&database, producers).options(options).spawn())
            }
            DeliveryMode::Store => {
                let opened = store.insert(Store::open(arguments, platform).await?);
                Some(Relay::new(&database, opened.producers()).options(options).spawn())
            }
            _ => None,
        };
        // A new version is being rolled out: one writer in four is served by a build from before.
        let accounts = [Release::Previous, Release::Current, Release::Current, Release::Current]
            .map(|release| Accounts::new(database.clone(), release));
        let load =
            Load::new(self.share, self.players.clone(), arguments.writers, arguments.rate, Arc::clone(&self.room));

        progress.clear();
        let before = consumer.stats();
        let started = Instant::now();
        let last = self.watch(&load, &accounts, arguments, consumer, &before, progress).await?;
        let elapsed = last - started;
        stop(relay).await?;
        if let Some(store) = store {
            store.close().await?;
        }
        self.until_quiet().await;
        publisher.close(Duration::from_secs(10)).await;
        progress.clear();

        let disagreements = self.compare(platform, board).await?;
        let after = consumer.stats();
        Ok(Outcome {
            mode: self.share.mode.to_string(),
            counts: self.ledger.counts(),
            verdict: self.ledger.verdict(),
            retried: after.retried - before.retried,
            dead_lettered: after.dead_lettered - before.dead_lettered,
            disagreements,
            elapsed,
            latency: self.ledger.latency(),
        })
    }

    /// Run the load, and look on until all of it is handled, or nothing is any more. Says when the last event was.
    async fn watch(
        &self,
        load: &Load,
        accounts: &[Accounts],
        arguments: &Arguments,
        consumer: &ConsumerHandle,
        before: &ConsumerStats,
        progress: &mut Progress,
    ) -> Result<Instant, DemoError> {
        let mode = self.share.mode.to_string();
        let patience = Duration::from_secs(u64::from(arguments.patience));
        let committed = load.committed();
        let mut loading = std::pin::pin!(load.run(accounts));
        let mut loaded = false;
        let started = Instant::now();
        let (mut last, mut seen) = (started, (0, 0));
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                result = &mut loading, if !loaded => {
                    result?;
                    loaded = true;
                }
                _ = look.tick() => {}
            }
            let counts = self.ledger.counts();
            let (stats, committed) = (consumer.stats(), committed.load(Ordering::Relaxed));
            progress.show(&Snapshot {
                mode: &mode,
                elapsed: started.elapsed(),
                events: self.share.events,
                committed,
                handled: counts.handled,
                retried: stats.retried - before.retried,
                dead_lettered: stats.dead_lettered - before.dead_lettered,
                out_of_order: counts.out_of_order,
            });
            if seen != (counts.settled(), committed) {
                seen = (counts.settled(), committed);
                last = Instant::now();
            }
            // Dead letters count once Kafka has them.
            let dead_letters = counts.given_up <= stats.dead_lettered - before.dead_lettered;
            if loaded && counts.settled() >= committed && dead_letters {
                return Ok(last);
            }
            if last.elapsed() > patience {
                progress
                    .say(&format!("nothing has happened for {} s: what is missing counts as lost", patience.as_secs()));
                return Ok(last);
            }
        }
    }

    async fn until_quiet(&self) {
        let mut seen = self.ledger.counts();
        loop {
            tokio::time::sleep(QUIET).await;
            let counts = self.ledger.counts();
            if counts == seen {
                return;
            }
            seen = counts;
        }
    }

    /// Tell the ledger what the database says; how many players' places say something else.
    async fn compare(&self, platform: &Platform, board: &Board) -> Result<u64, DemoError> {
        let mut disagreements = 0;
        for player in platform.players(&self.players).await? {
            self.ledger.committed(player.id, player.revision.unsigned_abs());
            let place = board.place(player.id).unwrap_or_default();
            let agrees =
                (place.nickname, place.score, place.revision) == (player.nickname, player.score, player.revision);
            // What a dead letter said is not on the board.
            if !agrees && !self.ledger.has_given_up(player.id) {
                disagreements += 1;
            }
        }
        Ok(disagreements)
    }
}

async fn stop(relay: Option<RelayHandle>) -> Result<(), DemoError> {
    if let Some(relay) = relay {
        relay.shutdown().await?;
    }
    Ok(())
}
