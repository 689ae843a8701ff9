//! Decoding what was written with another schema than the reader's, beside `apache-avro`:
//! `cargo bench --no-default-features --features registry --bench codec-resolve`.
//!
//! `serde_avro_fast` and the converter read by the writer's schema alone: the rows beside them resolve nothing on their side.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a benchmark may stop at the first surprise")]

#[path = "support/codec.rs"]
mod support;

use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use futures_util::FutureExt as _;
use schema_registry_converter::async_impl::avro::AvroDecoder;
use tidings::Event;
use tidings::schema::Codec;

use self::support::{MatchFinished, NEWER, WITHIN_HALF_AS_MUCH_AGAIN, compare, converter_settings, event, report};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (codec, event) = (Codec::local(), event());
    let framed = codec.frame("matches", codec.encode(&event).expect("an event that fits")).await;
    let mut json = codec.decode_json(Some(&framed.expect("a framed payload").bytes)).await.expect("a payload").value;
    json["arena"] = "forest".into();
    let framed = codec.frame("matches", codec.encode_json(NEWER, &json).expect("a value that fits")).await;
    let payload = framed.expect("a framed payload").bytes;
    let datum = &payload[5..];
    println!("payload of {} bytes", datum.len());
    let ours = || -> MatchFinished {
        codec.decode(Some(black_box(&payload))).now_or_never().expect("a schema known").expect("a payload")
    };
    assert_eq!(codec.decode::<MatchFinished>(Some(&payload)).await.expect("a payload"), event);

    let fast_schema: serde_avro_fast::Schema = NEWER.parse().expect("a schema");
    let fast =
        || serde_avro_fast::from_datum_slice::<MatchFinished>(black_box(datum), &fast_schema).expect("a payload");

    let (schema, newer) = (Schema::parse_str(MatchFinished::SCHEMA), Schema::parse_str(NEWER).expect("a schema"));
    let schema = schema.expect("a schema");
    let resolver = GenericDatumReader::builder(&newer).reader_schema(&schema).build().expect("a reader");

    let decoder = AvroDecoder::new(converter_settings(NEWER));
    decoder.decode(Some(&payload)).await.expect("a payload");

    let [ours, fast, library, converter] = compare([
        ("ours", &mut || drop(black_box(ours()))),
        ("serde_avro_fast", &mut || drop(black_box(fast()))),
        ("apache-avro, a reader kept", &mut || {
            let value = resolver.read_value(&mut black_box(datum)).expect("a payload");
            drop(black_box(apache_avro::from_value::<MatchFinished>(&value).expect("a payload")));
        }),
        ("the converter", &mut || {
            let decoded = decoder.decode(Some(black_box(&payload))).now_or_never();
            let value = decoded.expect("a schema known").expect("a payload").value;
            drop(black_box(apache_avro::from_value::<MatchFinished>(&value).expect("a payload")));
        }),
    ]);
    report(
        "codec-resolve, beside serde_avro_fast, which passes over what it does not know",
        ours,
        fast,
        WITHIN_HALF_AS_MUCH_AGAIN,
    );
    report("codec-resolve, beside apache-avro with a reader kept", ours, library, None);
    report("codec-resolve, beside the converter, which passes over what it does not know", ours, converter, None);
}
