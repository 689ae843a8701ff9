//! Processes whose clocks are wrong.

use std::path::Path;
use std::process::Command;

use super::press::{Load, Pace, Press};
use super::relays::LEASES;
use super::tally::Tally;
use crate::servers::Servers;
use crate::support::wait::until;

/// The rows that a relay may have under way: those that come again when it dies.
const UNDER_WAY: usize = 64;

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
    let (load, tally) = (Load::begin(&press.database(), Pace::GENTLE), Tally::begin(&press));
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let off = |by| [("LD_PRELOAD", library.as_str()), ("CLOCK_OFFSET_SECONDS", by)];
    let between = seconds(&off("300")) - seconds(&off("-300"));
    assert!((595..=605).contains(&between), "the clocks are {between} s apart");
    // One relay early, one late, one right; each dies while the others work.
    let relay = |clock: &[(&str, &str)]| {
        let few = UNDER_WAY.to_string();
        let relay = press.child("relay alone", &[clock, &[("ROWS_UNDER_WAY", few.as_str())]].concat());
        relay.expect("relaying");
        relay
    };
    let (early, late, right) = (relay(&off("300")), relay(&off("-300")), relay(&[]));
    let owned_by = async |relays: i64| {
        let look = async || match press.numbers(LEASES).await.unwrap()[..] {
            [(owners, 256)] if owners == relays => Ok(()),
            ref owners => Err(owners.to_vec()),
        };
        until("every bucket has its relay", look).await;
    };
    owned_by(3).await;
    tally.settled(&press, 400).await.expect("none publishes what is another's");
    right.kill();
    owned_by(2).await;
    tally.settled(&press, 400).await.expect("none publishes what is another's");
    early.kill();
    owned_by(1).await;
    tally.settled(&press, 400).await.expect("one is left");
    load.end().await;
    press.until_empty().await;
    late.kill();
    let proof = press.proof("clocks five minutes off").await;
    proof.assert_sound();
    proof.assert_repeats(2 * UNDER_WAY);
}
