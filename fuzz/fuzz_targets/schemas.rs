//! Any text as a schema: the writer's, the reader's, and a datum, with a zero byte between them.
#![no_main]

use std::sync::Arc;

use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use tidings::schema::{Codec, LocalRegistry};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let (Some(writer), reader) = (parts.next(), parts.next()) else { return };
    let Ok(writer) = str::from_utf8(writer) else { return };
    let codec = Codec::new(Arc::new(LocalRegistry::new()));
    if codec.learn(writer).is_err() {
        return;
    }
    let found = codec.registry().find("", writer).now_or_never().expect("no waiting");
    let id = found.expect("a known schema").id;
    let datum = parts.next().unwrap_or_default();
    let payload = [&[0][..], &id.to_be_bytes(), datum].concat();
    let _ = codec.decode_json(Some(&payload)).now_or_never().expect("a known schema");
    let reader = reader.and_then(|reader| str::from_utf8(reader).ok()).unwrap_or(writer);
    let _ = codec.decode_json_as(reader, Some(&payload)).now_or_never().expect("a known schema");
    let _ = codec.encode_json(writer, &Default::default());
});
