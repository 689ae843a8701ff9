//! The only place that writes to standard output and standard error.

use std::io::{self, BufWriter, Stdout, Write as _};

use anstream::AutoStream;
use clap::ColorChoice;
use parking_lot::Mutex;

use super::error::CliError;
use super::terminal_text;

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const RESET: &str = "\x1b[0m";

/// Writes data to standard output and everything else to standard error.
///
/// Data comes from strangers' records: control characters in it are escaped, so that it cannot take over a terminal.
pub(super) struct Printer {
    output: Mutex<BufWriter<Stdout>>,
    colour_output: bool,
    colour_errors: bool,
    quiet: bool,
}

impl Printer {
    /// One that colours as `color` and the environment (`NO_COLOR`, `CLICOLOR_FORCE`, the terminal) say, and keeps notes to
    /// itself when it is to be `quiet`.
    pub(super) fn new(color: ColorChoice, quiet: bool) -> Self {
        let choice = match color {
            ColorChoice::Auto => None,
            ColorChoice::Always => Some(true),
            ColorChoice::Never => Some(false),
        };
        let colours = |choice: anstream::ColorChoice| choice != anstream::ColorChoice::Never;
        Self {
            output: Mutex::new(BufWriter::new(io::stdout())),
            colour_output: choice.unwrap_or_else(|| colours(AutoStream::choice(&io::stdout()))),
            colour_errors: choice.unwrap_or_else(|| colours(AutoStream::choice(&io::stderr()))),
            quiet,
        }
    }

    /// A line of data.
    pub(super) fn line(&self, line: &str) -> Result<(), CliError> {
        self.data(line)?;
        self.data("\n")
    }

    /// Data, as it is but for control characters other than the end of a line.
    pub(super) fn data(&self, data: &str) -> Result<(), CliError> {
        let safe = terminal_text::printable(data);
        self.output.lock().write_all(safe.as_bytes()).map_err(|error| CliError::output(&error))
    }

    /// A line of data that heads others; bold on a terminal.
    pub(super) fn heading(&self, line: &str) -> Result<(), CliError> {
        let safe = terminal_text::printable(line);
        let (on, off) = if self.colour_output { (BOLD, RESET) } else { ("", "") };
        writeln!(self.output.lock(), "{on}{safe}{off}").map_err(|error| CliError::output(&error))
    }

    /// Lines of data, `coloured` on a terminal: whoever colours them has made them safe for it.
    pub(super) fn coloured(&self, plain: &str, coloured: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.colour_output {
            return self.raw(coloured().as_bytes()).and_then(|()| self.raw(b"\n"));
        }
        self.line(plain)
    }

    /// Bytes that are no text for a terminal, such as a shell's script.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.output.lock().write_all(bytes).map_err(|error| CliError::output(&error))
    }

    /// Hand over what is buffered.
    pub(super) fn flush(&self) -> Result<(), CliError> {
        self.output.lock().flush().map_err(|error| CliError::output(&error))
    }

    /// Something worth knowing.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.tell("note", "", text);
        }
    }

    /// Something that may surprise.
    pub(super) fn warning(&self, text: &str) {
        self.tell("warning", YELLOW, text);
    }

    /// Why the command ends.
    pub(super) fn error(&self, error: &CliError) {
        match error {
            CliError::OutputClosed => {}
            CliError::Usage(report) | CliError::Failure(report) | CliError::NoAnswer(report) => {
                self.tell("error", RED, &report.to_string());
            }
        }
    }

    /// Whether standard error takes colours.
    pub(super) fn colours_stderr(&self) -> bool {
        self.colour_errors
    }

    fn tell(&self, kind: &str, colour: &str, text: &str) {
        let safe = terminal_text::printable(text);
        let (on, off) = if self.colour_errors && !colour.is_empty() { (colour, RESET) } else { ("", "") };
        // Where even this fails there is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{on}{kind}:{off} {safe}");
    }
}
