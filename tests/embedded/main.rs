//! Against a cluster inside the process: no server needed.

mod events;
mod producer;
mod publisher;
mod reader;
mod topics;
