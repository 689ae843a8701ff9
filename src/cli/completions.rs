//! `tidings completions`: what a shell needs to complete the command.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Arguments;
use super::error::CliError;
use super::printer::Printer;

/// Write a shell's completions to standard output.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings completions bash > ~/.local/share/bash-completion/completions/tidings
  tidings completions zsh  > ~/.zfunc/_tidings
  tidings completions fish > ~/.config/fish/completions/tidings.fish")]
pub(super) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments, printer: &Printer) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "tidings", &mut script);
    printer.raw(&script)
}
