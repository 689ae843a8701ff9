use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
struct Account {
    id: i64,
}

fn main() {}
