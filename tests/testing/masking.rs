//! What a schema marks as sensitive is in no log, whatever becomes of the event.

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidings::consumer::parked::MemoryParkedStore;
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::testing::TestKit;

const SECRET: &str = "zoe@mail.example";

#[derive(Event, Serialize, Deserialize, Clone, PartialEq)]
#[event(name = "players.PlayerMoved", version = "1.0.0", debug)]
#[event(schema_inline = r#"{"type": "record", "name": "PlayerMoved", "namespace": "players", "fields": [
    {"name": "player", "type": "long"},
    {"name": "what", "type": "string"},
    {"name": "mail", "type": "string", "pii": true},
    {"name": "home", "type": {"type": "record", "name": "Home", "fields": [
        {"name": "street", "type": "string", "pii": true}]}}]}"#)]
struct PlayerMoved {
    #[event(key)]
    player: i64,
    what: String,
    mail: Mail,
    home: Home,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Home {
    street: String,
}

/// Says what it does not take, as types do.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(try_from = "String", into = "String")]
struct Mail(String);

impl From<Mail> for String {
    fn from(mail: Mail) -> Self {
        mail.0
    }
}

impl TryFrom<String> for Mail {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("not ") { Err(format!("{text:?} is no address")) } else { Ok(Self(text)) }
    }
}

/// Fails in each way there is.
struct Mover;

#[dispatcher(source = "players", retry(max_attempts = 2, initial = "1ms"))]
impl Mover {
    #[on("players.PlayerMoved")]
    async fn on_moved(&self, event: PlayerMoved) -> Outcome {
        tracing::info!(?event, "a player moves");
        match &*event.what {
            "fail" => Outcome::retry_after(Duration::from_millis(1), "the removal van is away"),
            "reject" => Outcome::dead_letter("nobody moves today"),
            "park" => Outcome::park("tomorrow perhaps"),
            "panic" => panic!("the stairs are too steep"),
            _ => Outcome::Done,
        }
    }
}

/// All that is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let filter = "tidings=trace,testing=trace";
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone()).with_ansi(false).init();
        log
    })
}

#[tokio::test]
async fn no_log_has_what_is_marked_whatever_becomes_of_the_event() {
    let (log, kit) = (log(), TestKit::in_memory());
    let store = Arc::new(MemoryParkedStore::new());
    let builder = Consumer::builder(ConsumerOptions::new("movers")).parked_store(store);
    let member = kit.start(builder.dispatch(Mover)).await;
    let mut letters = Vec::new();
    for (player, what) in (1..).zip(["well", "fail", "reject", "park", "panic", "undecodable"]) {
        let mail = if what == "undecodable" { format!("not {SECRET}") } else { SECRET.to_owned() };
        let home = Home { street: "Piotrkowska 1".to_owned() };
        let event = kit.publish(&PlayerMoved { player, what: what.to_owned(), mail: Mail(mail), home }).await;
        match what {
            "well" => kit.assert_handled_once(&event).await,
            "park" => kit.assert_parked(&event).await,
            _ => {
                kit.assert_dead_lettered(&event).await;
                letters.push(event);
            }
        }
    }
    assert_eq!(letters.len(), 4);
    let parked = format!("{:?}", member.handle().parked("movers.Mover").await.unwrap());
    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    // The logs are those of these events, and say why.
    for said in [
        "a player moves",
        "mail: ***",
        "the removal van is away",
        "nobody moves today",
        "tomorrow perhaps",
        "the type does not take it; the value is not shown",
    ] {
        assert!(logged.contains(said), "{said} is not in {logged}");
    }
    for text in [&logged, &parked] {
        for marked in [SECRET, "Piotrkowska"] {
            let at = text.find(marked).map(|at| &text[at.saturating_sub(600)..at + marked.len()]);
            assert_eq!(at, None);
        }
    }
}
