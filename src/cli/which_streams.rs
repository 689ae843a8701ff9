//! Which streams a verb is about.

use clap::Args;

use crate::outbox::Streams;

/// Which streams.
#[derive(Args)]
#[group(required = true, multiple = false, id = "which", args = ["all", "streams", "prefix"])]
pub(super) struct StreamsArguments {
    /// All streams of the database.
    #[arg(long)]
    all: bool,

    /// This stream; may be repeated.
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,

    /// The streams whose names begin so.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
}

impl StreamsArguments {
    pub(super) fn streams(&self) -> Streams {
        match &self.prefix {
            Some(prefix) => Streams::Prefixed(prefix.clone()),
            None if self.all => Streams::All,
            None => Streams::Named(self.streams.clone()),
        }
    }
}
