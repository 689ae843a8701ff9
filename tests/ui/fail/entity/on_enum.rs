use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "account", crate = tidings_ui_tests)]
enum Account {
    Open,
    Closed,
}

fn main() {}
