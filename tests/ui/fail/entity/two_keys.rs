use tidings_ui_tests::Entity;

#[derive(Entity, Clone)]
#[entity(table = "membership", crate = tidings_ui_tests)]
struct Membership {
    #[entity(key)]
    guild: i64,
    #[entity(key)]
    member: i64,
}

fn main() {}
