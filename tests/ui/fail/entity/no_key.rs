use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "account", crate = tidings_ui_tests)]
struct Account {
    id: i64,
    nickname: String,
}

fn main() {}
