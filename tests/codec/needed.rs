//! Nothing is allocated that the payload's type does not hold.

use futures_util::FutureExt as _;
use serde::Deserialize;
use tidings::schema::Codec;

use crate::counting::allocated;
use crate::event::{MatchFinished, decode, event, other_payload, payload};

#[test]
fn decoding_allocates_as_often_as_cloning_does() {
    let codec = Codec::local();
    let (same, other) = (payload(&codec), other_payload(&codec));
    for payload in [same, other] {
        // The plan is built once.
        let known = decode(&codec, &payload);
        let (decoded, decoding) = allocated(|| decode(&codec, &payload));
        let (cloned, cloning) = allocated(|| known.clone());
        assert_eq!(decoded, cloned);
        assert_eq!(decoding, cloning);
        assert!(cloning.times >= 8);
    }
}

#[test]
fn a_view_allocates_its_list_and_nothing_else() {
    #[derive(Deserialize)]
    struct View<'p> {
        match_id: &'p str,
        #[serde(borrow)]
        rewards: Vec<Item<'p>>,
    }
    #[derive(Deserialize)]
    struct Item<'p> {
        item: &'p str,
    }
    let codec = Codec::local();
    let (same, other) = (payload(&codec), other_payload(&codec));
    for payload in [same, other] {
        let view = codec.view::<MatchFinished>(Some(&payload)).now_or_never().unwrap().unwrap();
        let (read, reading) = allocated(|| view.read::<View<'_>>().unwrap());
        assert_eq!((read.match_id, read.rewards[5].item), ("a-match", "potion-5"));
        assert_eq!(reading.times, 1);
        let (_, opening) = allocated(|| codec.view::<MatchFinished>(Some(&payload)).now_or_never().unwrap().unwrap());
        assert_eq!(opening.times, 0);
    }
}

#[test]
fn encoding_allocates_the_payload_and_nothing_else() {
    let (codec, event) = (Codec::local(), event());
    // The second one knows how large the first was.
    drop(payload(&codec));
    let (datum, encoding) = allocated(|| codec.encode(&event).unwrap());
    assert_eq!(encoding.times, 1);
    let (framed, framing) = allocated(|| codec.frame("matches", datum).now_or_never().unwrap().unwrap());
    assert!(framing.times <= 1, "{framing:?}: `Bytes` counts its owners");
    assert_eq!(decode(&codec, &framed.bytes), event);
}
