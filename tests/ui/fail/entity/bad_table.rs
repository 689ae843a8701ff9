use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "shop.eu.account", crate = tidings_ui_tests)]
struct Account {
    #[entity(key)]
    id: i64,
}

#[derive(Entity, Clone)]
#[entity(table = "account`; DROP TABLE account", crate = tidings_ui_tests)]
struct Other {
    #[entity(key)]
    id: i64,
}

fn main() {}
