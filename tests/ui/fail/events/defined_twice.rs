tidings::events!("schemas/twice");

fn main() {}
