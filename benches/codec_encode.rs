//! Encoding, beside others: `cargo bench --no-default-features --features registry --bench codec-encode`.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a benchmark may stop at the first surprise")]

#[path = "support/codec.rs"]
mod support;

use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use futures_util::FutureExt as _;
use schema_registry_converter::async_impl::avro::AvroEncoder;
use schema_registry_converter::schema_registry_common::{SchemaType, SubjectNameStrategy, SuppliedSchema};
use tidings::Event;
use tidings::schema::Codec;

use self::support::{MatchFinished, WITHIN_HALF_AS_MUCH_AGAIN, compare, converter_settings, event, report};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (codec, event) = (Codec::local(), event());
    let datum = codec.encode(&event).expect("an event that fits");
    println!("payload of {} bytes", datum.datum().len());

    let fast_schema: serde_avro_fast::Schema = MatchFinished::SCHEMA.parse().expect("a schema");
    let mut fast_config = serde_avro_fast::ser::SerializerConfig::new(&fast_schema);
    let mut fast = || {
        let room = Vec::with_capacity(512);
        serde_avro_fast::to_datum(black_box(&event), room, &mut fast_config).expect("an event that fits")
    };
    assert_eq!(fast(), datum.datum(), "both write the same");

    let schema = Schema::parse_str(MatchFinished::SCHEMA).expect("a schema");
    let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");

    let encoder = AvroEncoder::new(converter_settings(MatchFinished::SCHEMA));
    let supplied =
        SuppliedSchema::new(Some(MatchFinished::NAME.to_owned()), SchemaType::Avro, MatchFinished::SCHEMA.to_owned());
    let strategy = SubjectNameStrategy::TopicRecordNameStrategyWithSchema("matches".to_owned(), supplied);
    let theirs = encoder.encode_struct(&event, &strategy).await.expect("an event that fits");
    let framed = codec.frame("matches", datum.clone()).await.expect("a framed payload");
    assert_eq!(theirs[5..], framed.bytes[5..], "both write the same");

    let [ours, fast, cached, uncached] = compare([
        ("ours", &mut || drop(black_box(codec.encode(black_box(&event)).expect("an event that fits")))),
        ("serde_avro_fast", &mut || drop(black_box(fast()))),
        ("apache-avro, a writer kept", &mut || {
            drop(black_box(writer.write_ser_to_vec(black_box(&event)).expect("an event that fits")));
        }),
        ("apache-avro, a writer for each", &mut || {
            let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");
            drop(black_box(writer.write_ser_to_vec(black_box(&event)).expect("an event that fits")));
        }),
    ]);
    report("codec-encode, beside serde_avro_fast", ours, fast, WITHIN_HALF_AS_MUCH_AGAIN);
    report("codec-encode, beside apache-avro with a writer kept", ours, cached, None);
    report("codec-encode, beside apache-avro with a writer for each", ours, uncached, None);

    let [ours, converter] = compare([
        ("ours, framed", &mut || {
            let datum = codec.encode(black_box(&event)).expect("an event that fits");
            drop(black_box(codec.frame("matches", datum).now_or_never().expect("a schema known").expect("a frame")));
        }),
        ("the converter", &mut || {
            let encoded = encoder.encode_struct(black_box(&event), &strategy).now_or_never();
            drop(black_box(encoded.expect("a schema known").expect("an event that fits")));
        }),
    ]);
    report("codec-encode and frame, beside the converter", ours, converter, None);
}
