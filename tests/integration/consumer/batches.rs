//! An annotated handler of batches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidings::consumer::{Consumer, dead_letter_header as header};
use tidings::dispatch::{BatchPolicy, DeliveryOrder};
use tidings::prelude::*;

use crate::reader::read;
use crate::setting;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{RawHeader, Scene, codec};
use crate::support::scores::{ScorePosted, post, posted};

type Scores = Vec<ScorePosted>;

/// Writes scores down, many at once. Refuses one for good, and another at its first attempt.
#[derive(Clone, Default)]
struct Archive {
    ledger: Arc<Ledger>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

const REFUSED: ScorePosted = ScorePosted::new(5, 7);
const LATE: ScorePosted = ScorePosted::new(3, 10);

#[dispatcher(source = "scores", concurrency = 2)]
impl Archive {
    /// Writes scores down.
    #[on("scores.ScorePosted", batch(max = 40, wait = "20ms"), retry(initial = "1ms"))]
    async fn on_many_posted(&self, scores: Scores, messages: Vec<Message>) -> Vec<Outcome> {
        self.sizes.lock().push(scores.len());
        let mut failed = BTreeSet::new();
        let mut outcomes = Vec::new();
        for (score, message) in scores.into_iter().zip(messages) {
            assert_eq!(message.key(), Some(&*score.player.to_string()));
            if failed.contains(&score.player) || (score == LATE && message.attempt() == 1) {
                failed.insert(score.player);
                outcomes.push(HandlerError::from("later, please").into());
            } else if score == REFUSED {
                outcomes.push(Outcome::dead_letter("no place for it"));
            } else {
                self.ledger.note(score.player.to_string(), score.serial);
                outcomes.push(Outcome::Done);
            }
        }
        tokio::task::yield_now().await;
        outcomes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_handled_once_and_in_each_keys_order_around_what_fails() {
    let scene = Scene::new(3).await;
    let publisher = scene.publisher().await;
    post(&publisher, 20, 1..=15).await;
    let undecodable: [RawHeader<'_>; 1] = [("ce_type", Some(b"scores.ScorePosted"))];
    scene.write(Some(b"2"), Some(b"no Avro at all"), &undecodable).await;
    post(&publisher, 20, 16..=25).await;

    let archive = Archive::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(archive.clone(), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Archive");
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    // One event is refused, one failed once and held those behind it back, and one could not be read.
    let expected = Audit { lost: 1, ..Audit::default() };
    assert_eq!(archive.ledger.audit(&posted(20, 25)), expected);
    assert!(!archive.ledger.of("5").contains(&REFUSED.serial));
    assert_eq!((stats.handled, stats.dead_lettered, stats.buffered_bytes), (499, 2, 0));
    assert!(stats.retried >= 1, "{stats:?}");
    let sizes = archive.sizes.lock().clone();
    assert!(sizes.iter().all(|size| (1..=40).contains(size)) && sizes.contains(&40), "{sizes:?}");

    let letters = read(&setting("TIDINGS_TEST_BROKERS"), &format!("{group}.dead-letters"), 3, 2);
    let classes: BTreeSet<_> = letters.iter().map(|letter| letter.text_headers()[header::CLASS].to_owned()).collect();
    assert_eq!(classes, ["retryable".to_owned(), "undecodable".to_owned()].into());
}

#[test]
fn settings_replace_what_the_block_says_and_not_what_the_handler_does() {
    let info = Archive::routes();
    let batch = info.infos().next().unwrap().batch;
    assert_eq!(batch, Some(BatchPolicy::new(40, Duration::from_millis(20))));
    let consumer = Consumer::builder(tidings::consumer::ConsumerOptions::new("boards"))
        .dispatch_with(Archive::default(), |settings| settings.order(DeliveryOrder::Unordered).concurrency(7).rate(9));
    let routes = consumer.routes();
    assert_eq!((&*routes[0].order, routes[0].concurrency, routes[0].rate), ("unordered", Some(7), Some(9)));
}
