//! Runs the real `tidings` in a folder of its own, with nothing of this process's configuration.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest a command may run that is to end by itself.
const LONGEST: Duration = Duration::from_secs(90);

/// A command to be run.
pub(crate) struct Tidings {
    command: Command,
    folder: TempDir,
    input: Option<Vec<u8>>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that runs.
#[allow(dead_code, reason = "only tests on real servers have commands that run on")]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    _folder: TempDir,
}

pub(crate) fn tidings<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(arguments).current_dir(folder.path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDINGS_") || name == "NO_COLOR" || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    Tidings { command, folder, input: None }
}

impl Tidings {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// A file in the folder the command runs in.
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Run it to its end.
    pub(crate) fn run(mut self) -> Finished {
        self.command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().zip(self.input);
        let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
        let write = thread::spawn(move || {
            if let Some((mut stdin, input)) = input {
                // It may end before it has read everything.
                let _ = stdin.write_all(&input);
            }
        });
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if start.elapsed() > LONGEST {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            thread::sleep(Duration::from_millis(5));
        };
        write.join().unwrap();
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        assert!(status.is_some(), "it did not end within {LONGEST:?}; it wrote: {stdout} {stderr}");
        Finished { code: status.and_then(|status| status.code()), stdout, stderr }
    }

    /// Let it run, and read what it writes as it comes.
    #[allow(dead_code, reason = "only tests on real servers have commands that run on")]
    pub(crate) fn start(mut self) -> Running {
        let mut child =
            self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout, _folder: self.folder }
    }
}

#[allow(dead_code, reason = "only tests on real servers have commands that run on")]
impl Running {
    /// The next line it writes; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Ask it to end, as an operator does, and wait for it.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed must leave nothing behind; one that ended is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Read a pipe to its end, so that nobody waits for room in it.
fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    })
}

impl Finished {
    /// It did what it was asked for.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It ended with `code`, said each of `words`, and put nothing of that on standard output.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing: {self:#?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        assert!(!self.stdout.contains("error:"), "{self:#?}");
        self
    }

    /// The lines on standard output, each as JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }
}
