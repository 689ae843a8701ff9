//! Decoding what was written with the reader's own schema, beside others:
//! `cargo bench --no-default-features --features registry --bench codec-decode`.
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

use self::support::{MatchFinished, WITHIN_HALF_AS_MUCH_AGAIN, compare, converter_settings, event, report};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (codec, event) = (Codec::local(), event());
    let framed = codec.frame("matches", codec.encode(&event).expect("an event that fits")).await;
    let payload = framed.expect("a framed payload").bytes;
    let datum = &payload[5..];
    println!("payload of {} bytes", datum.len());
    let ours = || -> MatchFinished {
        codec.decode(Some(black_box(&payload))).now_or_never().expect("a schema known").expect("a payload")
    };
    assert_eq!(codec.decode::<MatchFinished>(Some(&payload)).await.expect("a payload"), event);

    let fast_schema: serde_avro_fast::Schema = MatchFinished::SCHEMA.parse().expect("a schema");
    let fast =
        || serde_avro_fast::from_datum_slice::<MatchFinished>(black_box(datum), &fast_schema).expect("a payload");

    let schema = Schema::parse_str(MatchFinished::SCHEMA).expect("a schema");
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");

    let decoder = AvroDecoder::new(converter_settings(MatchFinished::SCHEMA));
    decoder.decode(Some(&payload)).await.expect("a payload");

    let [ours, fast, cached, uncached, converter] = compare([
        ("ours", &mut || drop(black_box(ours()))),
        ("serde_avro_fast", &mut || drop(black_box(fast()))),
        ("apache-avro, a reader kept", &mut || {
            drop(black_box(reader.read_deser::<MatchFinished>(&mut black_box(datum)).expect("a payload")));
        }),
        ("apache-avro, a reader for each", &mut || {
            let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
            drop(black_box(reader.read_deser::<MatchFinished>(&mut black_box(datum)).expect("a payload")));
        }),
        ("the converter", &mut || {
            let decoded = decoder.decode(Some(black_box(&payload))).now_or_never();
            let value = decoded.expect("a schema known").expect("a payload").value;
            drop(black_box(apache_avro::from_value::<MatchFinished>(&value).expect("a payload")));
        }),
    ]);
    report("codec-decode, beside serde_avro_fast", ours, fast, WITHIN_HALF_AS_MUCH_AGAIN);
    report("codec-decode, beside apache-avro with a reader kept", ours, cached, None);
    report("codec-decode, beside apache-avro with a reader for each", ours, uncached, None);
    report("codec-decode, beside the converter", ours, converter, None);
}
