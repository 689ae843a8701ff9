use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "account", primary_key = "id", crate = tidings_ui_tests)]
struct Account {
    #[entity(key)]
    id: i64,
    #[entity(name = "nick_name")]
    nickname: String,
}

fn main() {}
