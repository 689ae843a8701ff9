//! `tidings routes`: what a service's dispatchers handle.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use uuid::Uuid;

use super::error::CliError;
use super::output::{self, OutputFormat};
use super::printer::Printer;
use crate::consumer::{ROUTES_VARIABLE, RouteListing};

/// How often the command is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// How long a command that has written its routes may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// The most of a failed command's own words that is shown, in bytes.
const SHOWN: u64 = 8 * 1024;

/// Show which events a service handles: group, event, versions, handler, order and limits, retries.
///
/// Starts the service's command with TIDINGS_ROUTES set. A service so started writes its routes when it builds its consumer,
/// touches no broker, and ends.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings routes -- cargo run --bin leaderboards
  tidings routes -o jsonl -- ./leaderboards | jq -r .event
  TIDINGS_ROUTES=routes.json ./leaderboards; tidings routes routes.json")]
pub(super) struct RoutesArguments {
    /// Routes a service has written already; - is standard input.
    #[arg(value_name = "FILE", conflicts_with = "command", required_unless_present = "command")]
    file: Option<PathBuf>,

    /// The command that starts the service.
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,

    /// How the routes are written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    /// The same as --output json.
    #[arg(long, conflicts_with = "output")]
    json: bool,

    /// How long the command may take, building it included, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,

    /// Let the command's own output through, to standard error.
    #[arg(long, requires = "command")]
    show_output: bool,
}

pub(super) fn run(arguments: &RoutesArguments, printer: &Printer) -> Result<(), CliError> {
    let (origin, text) = match &arguments.file {
        Some(path) => (path.display().to_string(), read(path)?),
        None => ("the command".to_owned(), ask(arguments)?),
    };
    let routes: Vec<RouteListing> = serde_json::from_str(&text).map_err(|error| {
        CliError::failure(format!("{origin} did not give routes as {ROUTES_VARIABLE} asks for them")).caused_by(&error)
    })?;
    let format = if arguments.json { OutputFormat::Json } else { arguments.output };
    let headings = ["GROUP", "DISPATCHER", "SOURCE", "EVENT", "VERSIONS", "HANDLER", "ORDER", "RETRY", "DESCRIPTION"];
    output::rows(printer, format, &routes, headings, |route| {
        [
            route.group.clone(),
            route.dispatcher.clone(),
            route.source.clone(),
            route.event.clone(),
            route.versions.clone(),
            route.handler.clone(),
            order(route),
            retry(route),
            route.docs.trim().lines().next().unwrap_or_default().to_owned(),
        ]
    })
}

/// Its order and, behind it, its limits: `key, 8 at once, 100/s, batches of 100 or 50 ms`.
fn order(route: &RouteListing) -> String {
    let concurrency = route.concurrency.map(|attempts| format!("{attempts} at once"));
    let rate = route.rate.map(|attempts| format!("{attempts}/s"));
    let batch = route.batch.map(|batch| format!("batches of {} or {} ms", batch.max, batch.wait_ms));
    let parts = [Some(route.order.clone()), concurrency, rate, batch];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn retry(route: &RouteListing) -> String {
    let attempts = match route.max_attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    format!("{attempts}, then {}", route.on_exhausted.replace('_', " "))
}

fn read(path: &Path) -> Result<String, CliError> {
    let read = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    read.map_err(|error| CliError::failure(format!("{} cannot be read", path.display())).caused_by(&error))
}

/// Start the command and take the routes it writes.
fn ask(arguments: &RoutesArguments) -> Result<String, CliError> {
    let folder = PrivateFolder::new()?;
    let (routes, said) = (folder.path.join("routes.json"), folder.path.join("output"));
    let [program, rest @ ..] = &*arguments.command else {
        return Err(CliError::usage("there is no command: write it behind --"));
    };
    let shown = program.to_string_lossy();
    let mut command = Command::new(program);
    command.args(rest).env(ROUTES_VARIABLE, &routes).stdin(Stdio::null());
    if arguments.show_output {
        // Its standard output is not ours: ours is the routes.
        command.stdout(io::stderr());
    } else {
        let file = File::create(&said).and_then(|file| Ok((file.try_clone()?, file)));
        let (output, errors) = file.map_err(|error| temporary(&error))?;
        command.stdout(output).stderr(errors);
    }
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            CliError::failure(format!("there is no command {shown}; check its name and its folder"))
        }
        _ => CliError::failure(format!("the command {shown} cannot be started")).caused_by(&error),
    })?;
    let ended = wait(child, &routes, Duration::from_secs(arguments.timeout))?;
    if let Ok(text) = fs::read_to_string(&routes) {
        return Ok(text);
    }
    let how = match ended {
        Some(status) => format!("the command {shown} ended ({status}) without writing its routes"),
        None => format!("the command {shown} did not write its routes within {} s", arguments.timeout),
    };
    let advice = "is it a service that builds a tidings consumer?";
    match last_words(&said) {
        Some(words) => Err(CliError::failure(format!("{how}; {advice} It said:\n{words}"))),
        None => Err(CliError::failure(format!("{how}; {advice}"))),
    }
}

/// Wait until the command ends, or until it need not run any longer; `None` when its time was up.
fn wait(mut child: Child, routes: &Path, timeout: Duration) -> Result<Option<ExitStatus>, CliError> {
    let start = Instant::now();
    let mut written: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| temporary(&error))? {
            return Ok(Some(status));
        }
        // A file that is there is not yet complete; that the command ends says so.
        if written.is_none() && routes.exists() {
            written = Some(Instant::now());
        }
        if start.elapsed() > timeout || written.is_some_and(|written| written.elapsed() > GRACE) {
            // Both fail only where it has ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

fn last_words(path: &Path) -> Option<String> {
    use std::io::Seek as _;
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(SHOWN))).ok()?;
    let mut words = Vec::new();
    file.read_to_end(&mut words).ok()?;
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    (!words.is_empty()).then_some(words)
}

fn temporary(error: &io::Error) -> CliError {
    CliError::failure("a temporary file cannot be used").caused_by(error)
}

/// A folder that nobody else may enter, gone at the end.
struct PrivateFolder {
    path: PathBuf,
}

impl PrivateFolder {
    fn new() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("tidings-routes-{}", Uuid::new_v4()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| temporary(&error))?;
        Ok(Self { path })
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
