//! Records that strangers put on the topic: nothing is lost, and the good events around them are handled.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::sync::Arc;

use tidings::Event as _;
use tidings::consumer::{Consumer, dead_letter_header as header};
use tidings::publisher::Acks;
use tidings::schema::Codec;

use crate::reader::read;
use crate::setting;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{RawHeader, Scene, codec};
use crate::support::scores::{ScoreErased, ScorePosted, Scoreboard};

/// What becomes of a strange record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Skipped and counted.
    Skipped,
    /// To the dead letters, out of the handler's hands: its type cannot be read.
    Handler,
    /// To the dead letters, before any handler was found.
    NoHandler,
}

const POSTED: RawHeader<'static> = ("ce_type", Some(b"scores.ScorePosted"));

/// A later version of the event, with a place for every lie.
const WIDER: &str = r#"{
    "type": "record", "name": "ScorePosted", "namespace": "scores",
    "fields": [{"name": "player", "type": "long"}, {"name": "serial", "type": "long"}, {"name": "note", "type": "string"},
        {"name": "empties", "type": {"type": "array", "items": "null"}},
        {"name": "chain", "type": ["null", {"type": "record", "name": "Link",
            "fields": [{"name": "next", "type": ["null", "Link"], "default": null}]}], "default": null}]
}"#;

/// What is strange, its payload and headers, and what becomes of it.
type Strange<'a> = (&'a str, Option<&'a [u8]>, &'a [RawHeader<'a>], Fate);

#[tokio::test(flavor = "multi_thread")]
async fn strange_records_are_dead_lettered_or_skipped_and_nothing_around_them_is_lost() {
    let scene = Scene::new(2).await;
    let publisher = scene.publisher().await;
    let codec = codec();
    let topic = scene.topic();
    let good = codec.frame(&topic, codec.encode(&ScorePosted::new(1, 1)).unwrap()).await.unwrap().bytes;
    let erased = ScoreErased { player: 1, reason: Some("much longer than a score".into()) };
    let other = codec.frame(&topic, codec.encode(&erased).unwrap()).await.unwrap().bytes;
    let trailing = [&good[..], b"!"].concat();

    let wider = codec.registry().register(&Codec::subject(&topic, ScorePosted::NAME), WIDER).await.unwrap();
    // A player and a serial; the rest is not what the handler's type reads.
    let written = |rest: &[u8]| [&[0][..], &wider.id.to_be_bytes(), &[2, 2], rest].concat();
    let lying = written(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    let negative = written(&[1]);
    let huge = written(&[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    let deep = written(&[&[0, 0][..], &[2; 10_000], &[0]].concat());

    let strange: [Strange<'_>; 18] = [
        ("random bytes, with a known name", Some(b"\x93random\xff\x01"), &[POSTED], Fate::Handler),
        ("random bytes, without headers", Some(b"\x93random\xff\x02"), &[], Fate::NoHandler),
        ("text, without headers", Some(b"{\"player\": 1}"), &[], Fate::NoHandler),
        ("an unknown schema, with a known name", Some(b"\0\x7f\xff\xff\xf1ab"), &[POSTED], Fate::Handler),
        ("an unknown schema, without headers", Some(b"\0\x7f\xff\xff\xf2ab"), &[], Fate::NoHandler),
        ("Avro cut short", Some(&good[..good.len() - 1]), &[POSTED], Fate::Handler),
        ("Avro with bytes left over", Some(&trailing), &[POSTED], Fate::Handler),
        ("a length that lies", Some(&lying), &[POSTED], Fate::Handler),
        ("a length below nothing", Some(&negative), &[POSTED], Fate::Handler),
        ("a huge array of nothing", Some(&huge), &[POSTED], Fate::Handler),
        ("records within each other, 10,000 deep", Some(&deep), &[POSTED], Fate::Handler),
        ("an id cut short", Some(&good[..3]), &[POSTED], Fate::Handler),
        ("another event's payload", Some(&other), &[POSTED], Fate::Handler),
        ("an empty payload, with a known name", Some(b""), &[POSTED], Fate::Handler),
        ("a name that is not UTF-8", Some(b"\x93random\xff\x03"), &[("ce_type", Some(b"\xff"))], Fate::NoHandler),
        ("random bytes, with an unknown name", Some(b"\x93"), &[("ce_type", Some(b"x.Y"))], Fate::Skipped),
        ("a null payload, with a known name", None, &[POSTED], Fate::Skipped),
        ("a null payload, without headers", None, &[], Fate::Skipped),
    ];
    let mut places = BTreeMap::new();
    // A good event of the same key before and behind each, and one of another key.
    for (index, (what, payload, headers, fate)) in strange.iter().enumerate() {
        let serial = i64::try_from(index).unwrap() + 1;
        publisher.send(&ScorePosted::new(1, serial), Acks::All).await.unwrap();
        let place = scene.write(Some(b"1"), *payload, headers).await;
        places.insert(place, (*what, *fate, *payload));
        publisher.send(&ScorePosted::new(2, serial), Acks::All).await.unwrap();
    }
    let last = i64::try_from(strange.len()).unwrap() + 1;
    publisher.send(&ScorePosted::new(1, last), Acks::All).await.unwrap();
    // Records without a key wait for nobody.
    places.insert(scene.write(None, Some(b"\x93"), &[]).await, ("no key", Fate::NoHandler, Some(b"\x93")));

    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec)
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Scoreboard");
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    let wanted = [("1".to_owned(), last), ("2".to_owned(), last - 1)].into();
    assert_eq!(ledger.audit(&wanted), Audit::default());
    assert_eq!((stats.handled, stats.skipped, stats.dead_lettered, stats.retried), (37, 3, 16, 0));

    for letter in read(&setting("TIDINGS_TEST_BROKERS"), &format!("{group}.dead-letters"), 2, 16) {
        let why = letter.text_headers();
        let place = (why[header::PARTITION].parse().unwrap(), why[header::OFFSET].parse().unwrap());
        let (what, fate, payload) = places.remove(&place).unwrap_or_else(|| panic!("nothing strange at {place:?}"));
        let handler = (fate == Fate::Handler).then_some("Scoreboard::on_posted");
        assert_eq!(why.get(header::HANDLER).copied(), handler, "{what}");
        assert_eq!((why[header::CLASS], letter.payload.as_deref()), ("undecodable", payload), "{what}");
        assert!(why[header::CHAIN].contains(why[header::MESSAGE]) && !why[header::MESSAGE].is_empty(), "{what}");
    }
    assert!(places.values().all(|(_, fate, _)| *fate == Fate::Skipped), "not in the dead letters: {places:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_name_that_is_not_utf8_harms_nothing_and_is_kept() {
    let scene = Scene::new(1).await;
    let codec = codec();
    let mut good = tempfile::NamedTempFile::new().unwrap();
    let framed = codec.frame(&scene.topic(), codec.encode(&ScorePosted::new(1, 1)).unwrap()).await.unwrap();
    good.write_all(&framed.bytes).unwrap();
    let mut bad = tempfile::NamedTempFile::new().unwrap();
    bad.write_all(b"\x93random").unwrap();
    let kcat = |arguments: &[&OsStr]| {
        let mut command = Command::new(setting("TIDINGS_TEST_KCAT"));
        let output = command.args(["-b", &setting("TIDINGS_TEST_BROKERS")]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let strange = OsStr::from_bytes(b"\xff\xfename=value\xff");
    for file in [&good, &bad] {
        let topic = scene.topic();
        let known = OsStr::new("ce_type=scores.ScorePosted");
        let arguments = ["-P", "-t", &topic, "-k", "1", "-H"].map(OsStr::new);
        kcat(&[&arguments[..], &[known, OsStr::new("-H"), strange, file.path().as_os_str()]].concat());
    }
    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec)
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Scoreboard");
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.dead_lettered, ledger.of("1")), (1, 1, vec![1]));

    let letters = format!("{group}.dead-letters");
    let shown = kcat(&["-C", "-q", "-e", "-o", "beginning", "-t", &letters, "-f", "%h|%s"].map(OsStr::new));
    let beginning = b"ce_type=scores.ScorePosted,\xff\xfename=value\xff,__dlq.errors.topic=";
    assert!(shown.starts_with(beginning) && shown.ends_with(b"|\x93random"), "{}", String::from_utf8_lossy(&shown));
}
