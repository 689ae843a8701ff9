//! Dead letters on real brokers: read, and redriven once.

mod command;
mod handled;
mod interrupted;
mod letters;
mod once;
mod redriven;
