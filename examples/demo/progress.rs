//! What happens, as it happens: a line that moves on a terminal, a line a second elsewhere. On standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::TIME;

/// How often a line is written where it cannot move.
const LINE: Duration = Duration::from_secs(1);

/// Shows how a mode gets on.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: Instant,
}

/// How a mode gets on.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    pub mode: &'a str,
    pub elapsed: Duration,
    /// How many there will be, if somebody said.
    pub events: Option<u64>,
    pub committed: u64,
    pub handled: u64,
    pub retried: u64,
    pub dead_lettered: u64,
    pub out_of_order: u64,
}

impl Progress {
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{prefix:>8} {bar:24} {percent:>3} %  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, last: Instant::now() }
    }

    /// Write a line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| to_stderr(line)),
            None => to_stderr(line),
        }
    }

    /// Show how a mode gets on, now or when it is time.
    pub fn show(&mut self, snapshot: &Snapshot<'_>) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(snapshot.mode.to_owned());
            let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let (position, length) = match snapshot.events {
                Some(events) => (snapshot.handled + snapshot.dead_lettered, events),
                None => (milliseconds(snapshot.elapsed.min(TIME)), milliseconds(TIME)),
            };
            bar.set_length(length);
            bar.set_position(position);
            bar.set_message(snapshot.numbers());
        } else if self.last.elapsed() >= LINE {
            self.last = Instant::now();
            let seconds = snapshot.elapsed.as_secs_f64();
            self.say(&format!("{:>8} {seconds:5.1} s  {}", snapshot.mode, snapshot.numbers()));
        }
    }

    /// Take the moving line away.
    pub fn clear(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            bar.reset();
        }
        self.last = Instant::now();
    }
}

impl Snapshot<'_> {
    fn numbers(&self) -> String {
        let under_way = self.committed.saturating_sub(self.handled + self.dead_lettered);
        let mut numbers = format!(
            "committed {:>7}  handled {:>7}  under way {under_way:>5}  retried {:>3}",
            HumanCount(self.committed).to_string(),
            HumanCount(self.handled).to_string(),
            self.retried,
        );
        for (name, number) in [("dead-lettered", self.dead_lettered), ("OUT OF ORDER", self.out_of_order)] {
            if number > 0 {
                numbers.push_str("  ");
                numbers.push_str(name);
                numbers.push(' ');
                numbers.push_str(&number.to_string());
            }
        }
        numbers
    }
}

/// Nobody may be listening: that is no reason to stop.
fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
