//! Redriven records: only the group they are meant for handles them.

use super::rig::{EVENT, Rig, TOPIC, options};
use crate::consumer::dead_letter_header as header;
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::transport::Headers;

fn redriven_for(rig: &Rig, group: &str) {
    let mut headers = Headers::new();
    headers.push_str("ce_type", EVENT);
    headers.push_str(header::REDRIVES, "2");
    headers.push_str(header::REDRIVE_GROUP, group);
    rig.broker.append(TOPIC, 0, Some(b"42"), Some(b"payload"), headers);
}

#[tokio::test(start_paused = true)]
async fn a_record_redriven_for_another_group_is_skipped_and_counted() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    redriven_for(&rig, "others.Others");
    redriven_for(&rig, "tests.Test");
    redriven_for(&rig, "tests.Tests");
    rig.publish(0, "42");
    rig.until("all are settled", |rig| rig.broker.committed(TOPIC, 0) == Some(4)).await;
    assert_eq!(rig.handled_of("42"), [2, 3]);
    assert_eq!((rig.stats().skipped, rig.stats().handled), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_redriven_record_that_fails_again_becomes_a_letter_that_tells_how_often() {
    let rig = Rig::start(options(), |_| async { Outcome::dead_letter(HandlerError::new(ErrorClass::Terminal, "no")) });
    redriven_for(&rig, "tests.Tests");
    rig.until("it is given up", |rig| rig.broker.committed(TOPIC, 0) == Some(1)).await;
    let letters = rig.letters.written.lock();
    assert_eq!(letters[0].headers.get_str(header::REDRIVES), Some("2"));
    assert_eq!(letters[0].headers.get_str(header::GROUP), Some("tests.Tests"));
}
