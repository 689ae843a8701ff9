use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "", database = "oracle", crate = tidings_ui_tests)]
struct Account {
    id: i64,
    #[entity(column = "")]
    nickname: String,
}

// It resolves all the same.
fn is_entity<A: tidings_ui_tests::database::Entity>() {}

fn main() {
    is_entity::<Account>();
}
