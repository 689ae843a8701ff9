//! Processes whose clocks are wrong.

use std::path::Path;
use std::process::Command;

use super::press::{Load, Pace, Press};
use crate::servers::Servers;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/publishing/clock.c");

/// The library that shows a process another time, in `folder`.
fn library(folder: &Path) -> String {
    let library = folder.join("clock.so");
    let compiler = ["-shared", "-fPIC", "-O1", SOURCE, "-ldl", "-o"];
    let compiled = Command::new("cc").args(compiler).arg(&library).status().unwrap();
    assert!(compiled.success(), "the library that sets clocks wrong was not compiled");
    library.to_str().unwrap().to_owned()
}

/// What `date` says under the library, in seconds since 1970.
fn seconds(settings: &[(&str, &str)]) -> i64 {
    let said = Command::new("date").arg("+%s").envs(settings.iter().copied()).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_clock_is_five_minutes_off_loses_and_reorders_nothing() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let load = Load::begin(&press.database(), Pace::GENTLE);
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let off = |by| [("LD_PRELOAD", library.as_str()), ("CLOCK_OFFSET_SECONDS", by)];
    let between = seconds(&off("300")) - seconds(&off("-300"));
    assert!((595..=605).contains(&between), "the clocks are {between} s apart");
    // One relay early, one late, one right; each dies while the others work.
    let early = press.child("relay alone", &off("300"));
    early.expect("relaying");
    let late = press.child("relay alone", &off("-300"));
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
