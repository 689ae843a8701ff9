use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(delete, crate = tidings_ui_tests)]
struct Account {
    #[entity(key)]
    id: i64,
}

fn main() {}
