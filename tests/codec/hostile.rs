//! Bytes that lie make nobody allocate.

use futures_util::FutureExt as _;
use proptest::prelude::*;
use serde_json::json;
use tidings::schema::Codec;

use crate::counting::allocated;
use crate::event::{MatchFinished, decode, event, other_payload, payload};

/// A list that says how long it is gets so much room at first, in bytes, whatever it says: serde's own bound.
const FIRST_ROOM: isize = 1_048_576;

/// What a message of an error may take.
const WORDS: isize = 65_536;

/// For each byte of a payload: a JSON object with one entry, from two bytes, is the dearest.
const JSON_FOR_A_BYTE: isize = 1_024;

/// Decodes the payload in every way there is; fails when it takes more memory than its length allows.
fn bounded(codec: &Codec, payload: &[u8]) {
    let length = isize::try_from(payload.len()).unwrap();
    let (_, typed) = allocated(|| codec.decode::<MatchFinished>(Some(payload)).now_or_never().unwrap().map(drop));
    // A reward has 32 bytes and at least two of the payload, and a list may have grown to twice what it needs.
    assert!(typed.peak <= FIRST_ROOM + WORDS + 64 * length, "{typed:?} for {length} bytes");
    let (_, json) = allocated(|| codec.decode_json(Some(payload)).now_or_never().unwrap().map(drop));
    assert!(json.peak <= FIRST_ROOM + WORDS + JSON_FOR_A_BYTE * length, "{json:?} for {length} bytes");
}

/// A codec, with payloads of both schemas known to it.
fn known() -> (Codec, [Vec<u8>; 2]) {
    let codec = Codec::local();
    let payloads = [payload(&codec), other_payload(&codec)];
    for payload in &payloads {
        decode(&codec, payload);
        codec.decode_json(Some(payload)).now_or_never().unwrap().unwrap();
    }
    (codec, payloads)
}

#[test]
fn lengths_and_counts_that_lie_allocate_nothing() {
    let (codec, payloads) = known();
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for payload in payloads {
        for at in 5..payload.len() {
            for lie in [&huge[..], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[0xff, 0xff, 0xff, 0xff, 0x0f, 2], &[0x80; 12]] {
                bounded(&codec, &[&payload[..at], lie, &payload[at..]].concat());
            }
        }
    }
}

#[test]
fn a_list_as_long_as_its_bytes_is_read_in_their_room() {
    let (codec, _) = known();
    let mut long = event();
    long.rewards = std::iter::repeat_n(crate::event::Reward { item: String::new(), count: 0 }, 200_000).collect();
    let framed = codec.frame("matches", codec.encode(&long).unwrap()).now_or_never().unwrap().unwrap();
    bounded(&codec, &framed.bytes);
    assert_eq!(decode(&codec, &framed.bytes), long);
}

/// What a schema of a mebibyte may take to be parsed and made into a plan.
const PLAN: isize = 192 * 1_048_576;

#[test]
fn an_enum_that_hundreds_of_fields_have_is_kept_once() {
    let symbols: Vec<_> = (0..50_000).map(|symbol| format!("S{symbol}")).collect();
    let large = json!({"type": "enum", "name": "E", "symbols": symbols});
    let mut fields = vec![json!({"name": "f", "type": large, "default": "S1"})];
    fields.extend((0..500).map(|field| json!({"name": format!("f{field}"), "type": "E", "default": "S49999"})));
    let schema = json!({"type": "record", "name": "R", "namespace": "a", "fields": fields}).to_string();
    let codec = Codec::local();
    let datum = codec.encode_json(&schema, &json!({})).unwrap();
    let payload = codec.frame("topic", datum).now_or_never().unwrap().unwrap().bytes;
    let (decoded, plan) = allocated(|| codec.decode_json(Some(&payload)).now_or_never().unwrap());
    let value = decoded.unwrap().value;
    assert_eq!((&value["f"], &value["f499"]), (&json!("S1"), &json!("S49999")));
    assert!(plan.peak <= PLAN, "{plan:?}");
}

proptest! {
    #[test]
    fn random_bytes_are_refused_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..2_000), which in 0..2_usize) {
        let (codec, payloads) = known();
        bounded(&codec, &[&payloads[which][..5], &bytes].concat());
    }

    #[test]
    fn a_payload_cut_short_is_refused_within_bounds(which in 0..2_usize, cut in any::<prop::sample::Index>()) {
        let (codec, payloads) = known();
        let payload = &payloads[which][..cut.index(payloads[which].len())];
        bounded(&codec, payload);
        prop_assert!(codec.decode::<MatchFinished>(Some(payload)).now_or_never().unwrap().is_err());
    }
}
