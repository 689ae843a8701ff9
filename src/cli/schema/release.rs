//! `tidings schema release`.

use std::fs;

use clap::Args;

use super::judge::judge;
use super::{SelectionArguments, check, render};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::schema::compatibility::Change;

/// Keep the schemas being worked on as released versions.
///
/// Checks them first, against what was released before. Commit the files: they are what later versions are compared with.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings schema release accounts.UserUpdated
  tidings schema release --dry-run")]
pub(super) struct ReleaseArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    /// Say what would be released, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &ReleaseArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let histories = arguments.selection.histories(settings)?;
    let mut broken = 0_usize;
    let mut ready = Vec::new();
    for history in &histories {
        let judgement = judge(history, check::Chosen::of(history, None, None)?.mode, Vec::new())?;
        for finding in judgement.findings.iter().filter(|finding| finding.is_error) {
            render::show(finding, printer)?;
        }
        if judgement.has_errors() {
            broken += 1;
            continue;
        }
        let Some(working) = &history.working else { continue };
        let Some(version) = &working.version else {
            let (event, path) = (&history.event, working.path.display());
            return Err(CliError::usage(format!(
                "{event} states no version: write \"tidings.version\": \"1.0.0\" into {path}"
            )));
        };
        if judgement.since.is_some_and(|(last, change)| last == *version && change == Change::None) {
            printer.note(&format!("{} {version} is released already", history.event));
            continue;
        }
        ready.push((history, version, &working.text));
    }
    // All or none: a half of what belongs together would be released otherwise.
    if broken > 0 {
        let of = histories.len();
        return Err(CliError::failure(format!(
            "{broken} of {of} schemas cannot be released as they are; nothing was written"
        )));
    }
    for (history, version, text) in ready {
        let path = history.release_path(version);
        let shown = path.display();
        if !arguments.dry_run {
            let write = || {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(&path, text)
            };
            write().map_err(|error| CliError::failure(format!("{shown} cannot be written")).caused_by(&error))?;
        }
        printer.line(&format!("{} {version} {shown}", history.event))?;
    }
    Ok(())
}
