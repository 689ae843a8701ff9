use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "account", crate = tidings_ui_tests)]
struct Account {
    #[entity(key)]
    id: i64,
    version: u64,
}

fn main() {}
