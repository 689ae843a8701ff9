//! Processes whose clocks are wrong.

use std::process::Command;

use super::press::{Load, Pace, Press};
use crate::servers::Servers;

/// The library that shows a process another time.
fn library() -> String {
    let shown = Command::new("faketime").args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]).output().unwrap();
    assert!(shown.status.success(), "faketime is not installed: {shown:?}");
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_clock_is_five_minutes_off_loses_and_reorders_nothing() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let load = Load::begin(&press.database(), Pace::GENTLE);
    let library = library();
    // What measures time spans is left alone, as on a machine with a wrong clock.
    let off = |by| [("LD_PRELOAD", library.as_str()), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    // One relay early, one late, one right; each dies while the others work.
    let early = press.child("relay alone", &off("+300s"));
    early.expect("relaying");
    let late = press.child("relay alone", &off("-300s"));
    late.expect("relaying");
    let right = press.child("relay alone", &[]);
    right.expect("relaying");
    press.progress(400).await;
    right.kill();
    press.progress(400).await;
    early.kill();
    press.progress(400).await;
    load.end().await;
    press.until_empty().await;
    late.kill();
    press.proof("clocks five minutes off").await.assert_sound();
}
