tidings::events!("schemas/unfit");

fn main() {}
