//! A consumer in a process of its own, to be measured or killed: this benchmark's program, started again.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Says which part a process plays.
const PART: &str = "TIDINGS_BENCH_PART";

/// The part of this process, if it is not the whole benchmark.
pub fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// What the parent told this process.
pub fn told(name: &str) -> String {
    std::env::var(format!("{PART}_{name}")).unwrap_or_else(|_| panic!("the parent says {name}"))
}

/// Start this program again to play `part`; it ends with this process.
pub fn start(part: &str, words: &[(&str, String)]) -> Child {
    let program: PathBuf = std::env::current_exe().expect("this program's path");
    let mut command = Command::new(program);
    command.env(PART, part).kill_on_drop(true).stdout(Stdio::piped());
    for (name, value) in words {
        command.env(format!("{PART}_{name}"), value);
    }
    command.spawn().expect("this program starts again")
}
