//! What the codec's benchmarks share: an event, its older and newer schemas, contenders that take turns.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "each benchmark uses its own part, and may stop at the first surprise"
)]

#[path = "figures.rs"]
mod figures;

use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use schema_registry_converter::async_impl::schema_registry::SrSettings;
use serde::{Deserialize, Serialize};
use tidings::Event;

pub use self::figures::{Measurement, median, spread};

/// Within one and a half times of the reference.
pub const WITHIN_HALF_AS_MUCH_AGAIN: Option<f64> = Some(1.0 / 1.5);

/// About 500 bytes, as a busy game's event is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatchFinished {
    pub user_id: i64,
    pub match_id: String,
    pub won: bool,
    pub score: f64,
    pub nickname: String,
    pub clan: Option<String>,
    pub finished_at: i64,
    pub rewards: Vec<Reward>,
    pub notes: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    pub item: String,
    pub count: i32,
}

/// The same, with what it holds left where the payload has it.
#[derive(Debug, Deserialize)]
pub struct MatchFinishedView<'p> {
    pub user_id: i64,
    pub match_id: &'p str,
    pub won: bool,
    pub score: f64,
    pub nickname: &'p str,
    pub clan: Option<&'p str>,
    pub finished_at: i64,
    #[serde(borrow)]
    pub rewards: Vec<RewardView<'p>>,
    pub notes: &'p str,
}

#[derive(Debug, Deserialize)]
pub struct RewardView<'p> {
    pub item: &'p str,
    pub count: i32,
}

macro_rules! schema {
    ($extra:literal) => {
        concat!(
            r#"{"type":"record","name":"MatchFinished","namespace":"matches","fields":["#,
            $extra,
            r#"{"name":"user_id","type":"long"},{"name":"match_id","type":"string"},{"name":"won","type":"boolean"},
            {"name":"score","type":"double"},{"name":"nickname","type":"string"},
            {"name":"clan","type":["null","string"],"default":null},
            {"name":"finished_at","type":{"type":"long","logicalType":"timestamp-micros"}},
            {"name":"rewards","type":{"type":"array","items":{"type":"record","name":"Reward","fields":[
                {"name":"item","type":"string"},{"name":"count","type":"int"}]}}},
            {"name":"notes","type":"string"}]}"#
        )
    };
}

/// The same with one field more, so that what it writes has to be resolved.
pub const NEWER: &str = schema!(r#"{"name":"arena","type":"string","default":"desert"},"#);

impl Event for MatchFinished {
    const NAME: &'static str = "matches.MatchFinished";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = schema!("");
    const ENTITY: &'static str = "Player";

    fn key(&self) -> Cow<'_, str> {
        self.user_id.to_string().into()
    }
}

pub fn event() -> MatchFinished {
    let rewards = (0..6).map(|count| Reward { item: format!("potion-{count}"), count }).collect();
    MatchFinished {
        user_id: 123_456_789,
        match_id: "0198a7c2-5b1e-7cc3-98c4-dc0c0c07398f".into(),
        won: true,
        score: 1_234.5,
        nickname: "Zoë the Brave".into(),
        clan: Some("Night Owls".into()),
        finished_at: 1_753_000_000_000_000,
        rewards,
        notes: "x".repeat(280),
    }
}

/// The median time of one call of each, in nanoseconds; the first is ours. They take turns, and each round's are printed
/// to the standard error.
pub fn compare<const N: usize>(calls: [(&str, &mut dyn FnMut()); N]) -> [f64; N] {
    const ROUNDS: usize = 41;
    const ROUND: Duration = Duration::from_millis(20);
    let mut calls = calls;
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (times, (_, call)) in times.iter_mut().zip(&mut calls) {
            let (start, mut count) = (Instant::now(), 0_u32);
            while start.elapsed() < ROUND {
                (0..100).for_each(|_| call());
                count += 100;
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(count));
        }
    }
    for (times, (name, _)) in times.iter().zip(&calls) {
        eprintln!("{name}: {} ns", spread(times));
    }
    times.map(|times| median(&times))
}

/// Reports one row.
pub fn report(name: &'static str, ours: f64, reference: f64, target: Option<f64>) {
    Measurement { name, ours, reference, unit: "ns", target }.report_cost();
}

/// Settings for the converter: a registry on the loopback that gives every schema the id 1, and this schema for every id.
pub fn converter_settings(schema: &'static str) -> SrSettings {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // One read takes these short requests whole.
            let _ = stream.read(&mut [0; 16_384]).expect("a request");
            let body = serde_json::json!({"id": 1, "version": 1, "schema": schema}).to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).expect("an answer");
        }
    });
    SrSettings::new_builder(address).no_proxy().build().expect("settings")
}
