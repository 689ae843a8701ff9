//! Processes that tests end, one way or another: this program once more, in a part of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use crate::parts;

/// Names the part a child plays.
const PART: &str = "TIDINGS_TEST_PART";
/// What begins a child's lines that are meant for its parent: the test harness writes lines of its own.
const MARK: &str = "@ ";
/// Long enough for a loaded machine, and for the session of a member that died.
const PATIENCE: Duration = Duration::from_secs(180);

/// A child process. Killed when dropped.
pub(crate) struct Child {
    process: process::Child,
    lines: Receiver<String>,
}

impl Child {
    /// Start this program once more, to play `part` with `settings` in its environment.
    pub(crate) fn start(part: &str, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "support::child::a_child_process_plays_its_part", "--nocapture", "--test-threads=1"])
            .env(PART, part)
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The harness may have left a line unfinished.
                if let Some((_, line)) = line.split_once(MARK)
                    && sender.send(line.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self { process, lines }
    }

    /// Its process id.
    #[allow(dead_code, reason = "for the tests of faults, which share this")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The child's next line.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the child says nothing more")
    }

    /// Wait for the line `wanted`.
    pub(crate) fn expect(&self, wanted: &str) {
        while self.line() != wanted {}
    }

    /// Let the child's [`listen`] go on.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ask it to end, as an init system does.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Stop it where it stands (SIGSTOP), as an overloaded machine does.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Let it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// End it with SIGKILL: it cannot do anything about it.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Whether it has ended by itself.
    #[allow(dead_code, reason = "for the tests of faults, which share this")]
    pub(crate) fn is_over(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Wait until it has ended by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the child does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a child: tell the parent.
pub(crate) fn say(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{MARK}{line}").unwrap();
    output.flush().unwrap();
}

/// In a child: wait for the parent's next line.
pub(crate) async fn listen() -> String {
    let read = || {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    tokio::task::spawn_blocking(read).await.unwrap().unwrap()
}

/// In a child: what the parent set.
pub(crate) fn told(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("the part needs {name}"))
}

/// Does nothing unless this process is such a child.
#[test]
fn a_child_process_plays_its_part() {
    if let Ok(part) = env::var(PART) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(parts::play(&part));
    }
}
