tidings::events!("schemas/mismarked");

fn main() {}
