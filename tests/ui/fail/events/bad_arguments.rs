mod a {
    tidings::events!(schemas);
}
mod b {
    tidings::events!("schemas/shop", key = "id");
}

fn main() {}
