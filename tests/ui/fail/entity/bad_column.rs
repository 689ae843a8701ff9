use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "account", version = "", crate = tidings_ui_tests)]
struct Account {
    #[entity(key)]
    id: i64,
    #[entity(column = "account.nickname")]
    nickname: String,
}

fn main() {}
