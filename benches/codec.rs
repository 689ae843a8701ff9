//! The codec beside `apache-avro` used plainly: `cargo bench --no-default-features --bench codec`.
//!
//! Each pair runs in turns in one process; the ratio is of the medians. Appends a line of JSON a pair to `target/bench/codec.jsonl`.
//! `-uncached` builds the library's reader or writer for each call, as its examples do; the others keep one.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::borrow::Cow;
use std::fs::{OpenOptions, create_dir_all};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings::schema::Codec;

/// About 500 bytes, as a busy game's event is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MatchFinished {
    user_id: i64,
    match_id: String,
    won: bool,
    score: f64,
    nickname: String,
    clan: Option<String>,
    finished_at: i64,
    rewards: Vec<Reward>,
    notes: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reward {
    item: String,
    count: i32,
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
const NEWER: &str = schema!(r#"{"name":"arena","type":"string","default":"desert"},"#);

impl Event for MatchFinished {
    const NAME: &'static str = "matches.MatchFinished";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = schema!("");
    const ENTITY: &'static str = "Player";

    fn key(&self) -> Cow<'_, str> {
        self.user_id.to_string().into()
    }
}

fn event() -> MatchFinished {
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

/// The median time of one call of each, in nanoseconds.
fn compare(mut ours: impl FnMut(), mut reference: impl FnMut()) -> (f64, f64) {
    const ROUNDS: usize = 41;
    const ROUND: Duration = Duration::from_millis(20);
    let mut times = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
    for _ in 0..ROUNDS {
        for (times, call) in times.iter_mut().zip([&mut ours as &mut dyn FnMut(), &mut reference]) {
            let (start, mut calls) = (Instant::now(), 0_u32);
            while start.elapsed() < ROUND {
                (0..100).for_each(|_| call());
                calls += 100;
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    let [ours, reference] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    (ours, reference)
}

fn report(name: &str, (ours, reference): (f64, f64)) {
    let ratio = ours / reference;
    println!("{name}: ours {ours:.0} ns, reference {reference:.0} ns, ratio {ratio:.2}");
    let line = serde_json::json!({
        "name": name, "ours": ours, "reference": reference, "ratio": ratio, "unit": "ns", "target": null
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    create_dir_all(&folder).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("codec.jsonl")).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn main() {
    let (codec, event) = (Codec::local(), event());
    let payload = |datum| codec.frame("matches", datum).now_or_never().unwrap().unwrap().bytes;
    let direct = payload(codec.encode(&event).unwrap());
    let mut json = codec.decode_json(Some(&direct)).now_or_never().unwrap().unwrap().value;
    json["arena"] = "forest".into();
    let newer = payload(codec.encode_json(NEWER, &json).unwrap());
    let decode = |payload: &[u8]| -> MatchFinished { codec.decode(Some(payload)).now_or_never().unwrap().unwrap() };
    assert_eq!((decode(&direct), decode(&newer)), (event.clone(), event.clone()));
    println!("payload of {} bytes", direct.len());

    let schema = Schema::parse_str(MatchFinished::SCHEMA).unwrap();
    let newer_schema = Schema::parse_str(NEWER).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let resolver = GenericDatumReader::builder(&newer_schema).reader_schema(&schema).build().unwrap();

    let ours = || drop(black_box(codec.encode(black_box(&event)).unwrap()));
    let plain = || {
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        drop(black_box(writer.write_ser_to_vec(black_box(&event)).unwrap()));
    };
    report("codec-encode-uncached", compare(ours, plain));
    let cached = || drop(black_box(writer.write_ser_to_vec(black_box(&event)).unwrap()));
    report("codec-encode", compare(ours, cached));

    let ours = || drop(black_box(decode(black_box(&direct))));
    let plain = || {
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        drop(black_box(reader.read_deser::<MatchFinished>(&mut black_box(&direct[5..])).unwrap()));
    };
    report("codec-decode-uncached", compare(ours, plain));
    let cached = || drop(black_box(reader.read_deser::<MatchFinished>(&mut black_box(&direct[5..])).unwrap()));
    report("codec-decode", compare(ours, cached));

    let ours = || drop(black_box(decode(black_box(&newer))));
    let value = || {
        let value = resolver.read_value(&mut black_box(&newer[5..])).unwrap();
        drop(black_box(apache_avro::from_value::<MatchFinished>(&value).unwrap()));
    };
    report("codec-resolve", compare(ours, value));
}
