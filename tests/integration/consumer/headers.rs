//! Headers as they came: what a handler sees is what was written, whoever wrote it.

use std::sync::Arc;

use parking_lot::Mutex;
use tidings::consumer::Consumer;
use tidings::dispatch::RecordHeaders;
use tidings::prelude::*;

use crate::support::running::Running;
use crate::support::scene::{RawHeader, Scene, codec};
use crate::support::scores::ScorePosted;
use crate::support::wait::until_true;

type Seen = Vec<Vec<(Vec<u8>, Option<Vec<u8>>)>>;

struct Headers(Arc<Mutex<Seen>>);

#[dispatcher(source = "scores")]
impl Headers {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, _: ScorePosted, RecordHeaders(headers): RecordHeaders) {
        let all = headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec)));
        self.0.lock().push(all.collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_sees_every_header_as_it_was_written() {
    let scene = Scene::new(1).await;
    let codec = codec();
    let posted: RawHeader<'_> = ("ce_type", Some(b"scores.ScorePosted"));
    let long = vec![b'x'; 70_000];
    let written: [Vec<RawHeader<'_>>; 6] = [
        vec![posted],
        vec![posted, ("null", None), ("empty", Some(b"")), ("bytes", Some(b"\xff\x00\xfe"))],
        vec![("twice", Some(b"1")), posted, ("twice", Some(b"2"))],
        vec![posted, ("long", Some(&long))],
        (0..40).map(|_| ("many", Some(&b"v"[..]))).chain([posted]).collect(),
        // None at all: the event's name is that of its schema's record.
        vec![],
    ];
    let event = codec.frame(&scene.topic(), codec.encode(&ScorePosted::new(1, 1)).unwrap()).await.unwrap().bytes;
    for headers in &written {
        scene.write(Some(b"1"), Some(&event), headers).await;
    }
    let seen = Arc::<Mutex<Seen>>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec)
        .dispatch_with(Headers(Arc::clone(&seen)), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    until_true("all are handled", || seen.lock().len() == written.len()).await;
    running.stop().await;
    let expected: Seen = written
        .iter()
        .map(|headers| {
            let owned = |(name, value): &RawHeader<'_>| (name.as_bytes().to_vec(), value.map(<[u8]>::to_vec));
            headers.iter().map(owned).collect()
        })
        .collect();
    assert!(*seen.lock() == expected, "{:?}", seen.lock());
}
