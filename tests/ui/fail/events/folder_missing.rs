tidings::events!("schemas/nowhere");

fn main() {}
