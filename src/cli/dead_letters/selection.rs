//! Which letters are meant: the flags.

use chrono::{DateTime, Utc};
use clap::Args;

use crate::cli::error::CliError;
use crate::cli::position::Position;
use crate::cli::terminal_text::unescaped;
use crate::clock::{Clock as _, SystemClock};
use crate::dead_letters::{Place, Selection};

/// Adds a condition to a selection.
type Condition = fn(Selection, String) -> Selection;

/// Which letters are meant. Every condition given must hold.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub(super) struct SelectionArguments {
    /// Only errors of this class, such as timeout. A * at the end stands for any rest.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Only errors whose text, or that of a cause, contains this, in upper or lower case.
    #[arg(long, short, value_name = "TEXT")]
    error: Option<String>,

    /// Only those of this handler, Dispatcher::method. A * at the end stands for any rest.
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,

    /// Only events of this name. A * at the end stands for any rest.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// Only records with this key, written as `ls` shows it.
    #[arg(long, short, value_name = "KEY")]
    key: Option<String>,

    /// Only records that were read from this topic.
    #[arg(long, value_name = "TOPIC")]
    original_topic: Option<String>,

    /// Only letters written at that time or later: @2026-01-31T09:00:00Z, @2026-01-31 or @-1h.
    #[arg(long, short, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<Position>,

    /// Only letters written before that time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<Position>,

    /// Only the letter at this place, PARTITION:OFFSET; may be repeated, or separated by commas.
    #[arg(long, value_name = "PLACE", value_delimiter = ',')]
    at: Vec<Place>,
}

impl SelectionArguments {
    /// What was asked for.
    pub(super) fn selection(&self) -> Result<Selection, CliError> {
        let now = SystemClock::new().now();
        let mut selection = Selection::all().at(self.at.iter().copied());
        let texts: [(&Option<String>, Condition); 5] = [
            (&self.class, Selection::class),
            (&self.error, Selection::error),
            (&self.handler, Selection::handler),
            (&self.event, Selection::event),
            (&self.original_topic, Selection::original_topic),
        ];
        for (text, set) in texts {
            if let Some(text) = text {
                selection = set(selection, text.clone());
            }
        }
        if let Some(key) = &self.key {
            selection = selection.key(unescaped(key).unwrap_or_else(|| key.clone().into_bytes()));
        }
        if let Some(from) = self.from {
            selection = selection.since(moment(from, "--from", now)?);
        }
        if let Some(to) = self.to {
            selection = selection.until(moment(to, "--to", now)?);
        }
        Ok(selection)
    }
}

fn moment(position: Position, flag: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, CliError> {
    position.timestamp_ms(now).and_then(DateTime::from_timestamp_millis).ok_or_else(|| {
        CliError::usage(format!(
            "{flag} takes a time, such as @2026-01-31T09:00:00Z or @-1h; for offsets there is --at"
        ))
    })
}
