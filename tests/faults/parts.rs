//! The parts that child processes of these tests play.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::prelude::*;

use crate::journal::Journal;
use crate::plant::Plant;
use crate::support::child::{say, told};
use crate::support::scene::{codec, kafka};
use crate::support::scores::ScorePosted;

/// Play a part, until it is over or the process is ended.
pub(crate) async fn play(part: &str) {
    match part {
        "member" => member().await,
        #[cfg(all(feature = "testing", feature = "audit"))]
        "service" => crate::publishing::parts::service().await,
        #[cfg(all(feature = "testing", feature = "audit"))]
        "relay alone" => crate::publishing::parts::relay().await,
        #[cfg(all(feature = "testing", feature = "audit"))]
        "sender" => crate::publishing::parts::sender().await,
        #[cfg(all(feature = "testing", feature = "audit", feature = "store"))]
        "store replica" => crate::publishing::replicas::replica().await,
        _ => panic!("there is no part called {part}"),
    }
}

/// Writes each score down once it is handled.
pub(crate) struct Scribe {
    pub(crate) journal: Arc<Journal>,
    /// How long a handler takes, at most.
    pub(crate) work: Duration,
    pub(crate) plant: Plant,
}

#[dispatcher(source = "scores")]
impl Scribe {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if !self.work.is_zero() {
            tokio::time::sleep(self.work).await;
        }
        for serial in self.plant.effects(&event) {
            self.journal.note(event.player, serial);
        }
        Ok(())
    }
}

/// A member of the group that is told, until it is ended.
async fn member() {
    let options = ConsumerOptions::new("boards")
        .kafka(kafka().property("session.timeout.ms", "6000").property("heartbeat.interval.ms", "500"))
        .commit_interval(Duration::from_millis(200))
        .drain_timeout(Duration::from_secs(5));
    let scribe = Scribe {
        journal: Arc::new(Journal::open(told("JOURNAL"))),
        work: Duration::from_micros(told("WORK_MICROSECONDS").parse().unwrap()),
        plant: told("PLANT").parse().unwrap(),
    };
    let (topic, group) = (told("TOPIC"), told("GROUP"));
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(scribe, |settings| settings.source(topic).group(group))
        .build()
        .await
        .unwrap();
    let handle = consumer.handle();
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut told = 0;
        loop {
            pace.tick().await;
            let assigned = handle.stats().assigned;
            if assigned != told {
                told = assigned;
                say(&format!("{assigned} partitions"));
            }
        }
    });
    consumer.run().await.unwrap();
}
