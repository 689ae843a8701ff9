use tidings::prelude::*;

#[dispatcher(source = "accounts")]
struct Leaderboards;

fn main() {}
