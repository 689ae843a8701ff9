//! `tidings dead-letters`: what consumers gave up, and redriving it.

mod breakdown;
mod list;
mod redrive;
mod selection;
mod show;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::output::OutputFormat;
use super::printer::Printer;
use super::settings::{KafkaArguments, Settings};
use crate::dead_letters::{DeadLetterError, DeadLetters};

/// Look at dead letters, and redrive them
///
/// A dead letter is an event that a consumer group gave up, kept whole in
/// the topic GROUP.dead-letters. Letters of Spring for Apache Kafka and of
/// brokers (KIP-1191) are read too: name their topic with --topic.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct DeadLettersArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Ls(list::ListArguments),
    Show(show::ShowArguments),
    Redrive(redrive::RedriveArguments),
}

/// Whose letters are meant, and how they are shown.
#[derive(Args)]
struct TopicArguments {
    /// The consumer group whose letters they are, in the topic GROUP.dead-letters.
    #[arg(long, short, value_name = "GROUP", required_unless_present = "topic")]
    group: Option<String>,

    /// The dead-letter topic, where it has another name.
    #[arg(long, short, value_name = "TOPIC", conflicts_with = "group")]
    topic: Option<String>,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    /// How long the brokers may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,

    #[command(flatten)]
    kafka: KafkaArguments,
}

impl TopicArguments {
    fn open(&self, settings: &Settings) -> Result<DeadLetters, CliError> {
        let kafka = settings.kafka(&self.kafka)?;
        let letters = match (&self.topic, &self.group) {
            (Some(topic), _) => DeadLetters::in_topic(kafka, topic),
            (None, Some(group)) => DeadLetters::of_group(kafka, group),
            (None, None) => return Err(CliError::usage("say whose letters: --group GROUP or --topic TOPIC")),
        };
        Ok(letters.timeout(Duration::from_secs(self.timeout.max(1))))
    }
}

pub(super) async fn run(
    arguments: DeadLettersArguments,
    settings: &Settings,
    printer: &Printer,
) -> Result<(), CliError> {
    match arguments.action {
        Action::Ls(arguments) => list::run(&arguments, settings, printer).await,
        Action::Show(arguments) => show::run(&arguments, settings, printer).await,
        Action::Redrive(arguments) => redrive::run(&arguments, settings, printer).await,
    }
}

impl From<DeadLetterError> for CliError {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::Kafka(error) => error.into(),
            DeadLetterError::Topic(error) => error.into(),
            error => Self::failed(&error),
        }
    }
}
