//! Any bytes behind the id of a known schema: read as they were written, with other schemas, into types and into a view.
//!
//! The first byte chooses the writer's schema, the second the reader's. Plans are built once for each pair; where the first byte's
//! highest bit is set one is built anew, which is what takes most of the time.
#![no_main]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings::payload::{Decimal, FixedBytes};
use tidings::schema::{Codec, LocalRegistry};

/// Each of them may be the writer's, and the reader's.
const SCHEMAS: [&str; 8] = [
    Everything::SCHEMA,
    // What it was and becomes: promotions, defaults, another order, other symbols.
    r#"{"type":"record","name":"Everything","fields":[{"name":"text","type":"bytes"},
        {"name":"added","type":{"type":"array","items":["null","string"]},"default":[null,"x"]},
        {"name":"int","type":["null","long","string"],"default":null},{"name":"long","type":"double"},
        {"name":"colour","type":{"type":"enum","name":"Colour","symbols":["Blue","Red"],"default":"Blue"},"default":"Blue"},
        {"name":"inners","type":{"type":"array","items":{"type":"record","name":"Inner","fields":[
            {"name":"more","type":"int","default":7},{"name":"text","type":"string"}]}}},
        {"name":"maybe","type":["string","null"],"default":""}]}"#,
    // Without an end.
    r#"{"type":"record","name":"Everything","fields":[{"name":"next","type":["null","Everything"],"default":null},
        {"name":"all","type":{"type":"array","items":"Everything"},"default":[]},
        {"name":"named","type":{"type":"map","values":"Everything"},"default":{}}]}"#,
    // Without a byte.
    r#"{"type":"record","name":"Everything","fields":[{"name":"a","type":{"type":"array","items":
        {"type":"record","name":"E","fields":[{"name":"n","type":"null"},{"name":"f","type":{"type":"fixed","name":"F","size":0}}]}}},
        {"name":"b","type":{"type":"array","items":"null"}},{"name":"e","type":"E"},{"name":"g","type":"E"}]}"#,
    // Within itself, twice.
    r#"{"type":"record","name":"Everything","fields":[{"name":"a","type":["null",{"type":"record","name":"D","fields":[
        {"name":"l","type":"D"},{"name":"r","type":"D"}]}]},{"name":"int","type":"int","default":1}]}"#,
    r#"{"type":"record","name":"Everything","fields":[]}"#,
    Choices::SCHEMA,
    // Other branches, in another order, and none where there were some.
    r#"{"type":"record","name":"Everything","fields":[{"name":"choice","type":["string",{"type":"record","name":"Inner",
        "fields":[{"name":"text","type":"bytes"}]},"null","double","boolean"],"default":""},
        {"name":"plain","type":{"type":"map","values":"Inner"}},{"name":"amount","type":["null",{"type":"fixed","name":"A","size":8,
        "logicalType":"decimal","precision":18,"scale":2}],"default":null}]}"#,
];

#[derive(Debug, Serialize, Deserialize)]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, Serialize, Deserialize)]
struct Inner {
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    int: i32,
    long: i64,
    float: f32,
    double: f64,
    text: String,
    colour: Colour,
    maybe: Option<String>,
    inners: Vec<Inner>,
    map: HashMap<String, i64>,
}

/// Borrows what it can.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is read into, and that is all")]
struct View<'p> {
    text: &'p str,
    #[serde(borrow)]
    maybe: Option<Cow<'p, str>>,
    colour: &'p str,
    #[serde(borrow)]
    map: HashMap<&'p str, i64>,
}

/// One of several.
#[derive(Debug, Serialize, Deserialize)]
enum Choice {
    Long(i64),
    String(String),
    Inner(Inner),
    Array(Vec<f64>),
    F(FixedBytes<3>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Plain {
    Int(i32),
    Map(HashMap<String, Held>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Held {
    String(String),
    Boolean(bool),
    Inner(Inner),
}

/// Unions of more than null and one type, and a decimal.
#[derive(Debug, Serialize, Deserialize)]
struct Choices {
    choice: Option<Choice>,
    plain: Plain,
    amount: Decimal<2>,
}

impl Event for Everything {
    const NAME: &'static str = "fuzz.Everything";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = r#"{"type":"record","name":"Everything","fields":[{"name":"flag","type":"boolean"},
        {"name":"int","type":"int"},{"name":"long","type":"long"},{"name":"float","type":"float"},{"name":"double","type":"double"},
        {"name":"text","type":"string"},{"name":"colour","type":{"type":"enum","name":"Colour","symbols":["Red","Green"]}},
        {"name":"maybe","type":["null","string"],"default":null},{"name":"inners","type":{"type":"array","items":
        {"type":"record","name":"Inner","fields":[{"name":"text","type":"string"}]}}},
        {"name":"map","type":{"type":"map","values":"long"}}]}"#;
    const ENTITY: &'static str = "Fuzz";

    fn key(&self) -> Cow<'_, str> {
        "".into()
    }
}

impl Event for Choices {
    const NAME: &'static str = "fuzz.Choices";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = r#"{"type":"record","name":"Everything","fields":[{"name":"choice","type":["null","long","string",
        {"type":"record","name":"Inner","fields":[{"name":"text","type":"string"}]},{"type":"array","items":"double"},
        {"type":"fixed","name":"F","size":3}],"default":null},
        {"name":"plain","type":["int",{"type":"map","values":["string","boolean","Inner"]}]},
        {"name":"amount","type":{"type":"fixed","name":"A","size":8,"logicalType":"decimal","precision":18,"scale":2}}]}"#;
    const ENTITY: &'static str = "Fuzz";

    fn key(&self) -> Cow<'_, str> {
        "".into()
    }
}

/// Whatever a schema says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Anything<const READER: usize>(serde_json::Value);

impl<const READER: usize> Event for Anything<READER> {
    const NAME: &'static str = "fuzz.Anything";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = SCHEMAS[READER];
    const ENTITY: &'static str = "Fuzz";

    fn key(&self) -> Cow<'_, str> {
        "".into()
    }
}

fn read_as(codec: &Codec, reader: usize, payload: Option<&[u8]>) {
    macro_rules! reader {
        ($($reader:literal)*) => {
            match reader {
                $($reader => {
                    let _ = codec.decode::<Anything<$reader>>(payload).now_or_never().expect("a known schema");
                })*
                other => panic!("there is no schema {other}"),
            }
        };
    }
    reader!(0 1 2 3 4 5 6 7);
}

static CODEC: LazyLock<(Codec, Vec<u32>)> = LazyLock::new(|| {
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    let ids = SCHEMAS.map(|schema| {
        codec.learn(schema).expect("a schema");
        let found = codec.registry().find("", schema).now_or_never().expect("no waiting");
        found.expect("a known schema").id
    });
    (codec, ids.to_vec())
});

fuzz_target!(|data: &[u8]| {
    let (codec, ids) = &*CODEC;
    let [writer, reader, datum @ ..] = data else { return };
    let anew = *writer & 0x80 != 0;
    let (writer, reader) = (usize::from(*writer & 0x7f) % ids.len(), usize::from(*reader) % SCHEMAS.len());
    let payload = [&[0][..], &ids[writer].to_be_bytes(), datum].concat();
    let payload = Some(&payload[..]);

    let json = codec.decode_json(payload).now_or_never().expect("a known schema");
    read_as(codec, reader, payload);
    if anew {
        let _ = codec.decode_json_as(SCHEMAS[reader], payload).now_or_never().expect("a known schema");
    }
    let _ = codec.decode::<Everything>(payload).now_or_never().expect("a known schema");
    let _ = codec.decode::<Choices>(payload).now_or_never().expect("a known schema");
    if let Ok(view) = codec.view::<Everything>(payload).now_or_never().expect("a known schema") {
        let _ = view.read::<View<'_>>();
    }
    // Not a payload at all, perhaps.
    let _ = codec.decode_json(Some(data)).now_or_never();

    // What could be read can be written, and read again as the same.
    if let Ok(json) = json {
        let again = codec.encode_json(SCHEMAS[writer], &json.value).expect("what was read fits");
        let payload = [&[0][..], &ids[writer].to_be_bytes(), again.datum()].concat();
        let read = codec.decode_json(Some(&payload)).now_or_never().expect("a known schema");
        assert_eq!(read.expect("what was written is read").value, json.value);
    }
});
