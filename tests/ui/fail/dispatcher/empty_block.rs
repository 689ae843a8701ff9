use tidings::prelude::*;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    fn helper(&self) {}
}

fn main() {}
