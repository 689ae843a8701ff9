use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "account", crate = tidings_ui_tests)]
struct Account {
    #[entity(key = "str")]
    id: String,
}

fn main() {}
