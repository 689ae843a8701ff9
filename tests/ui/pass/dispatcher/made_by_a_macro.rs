//! A `macro_rules!` macro may write the whole block.

use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated};

macro_rules! audit {
    ($name:ident, $source:literal, $($event:literal $version:literal => $method:ident($payload:ty)),+ $(,)?) => {
        struct $name;

        #[dispatcher(source = $source)]
        impl $name {
            $(
                #[on($event, version = $version)]
                async fn $method(&self, payload: $payload, message: Message) -> Result<()> {
                    let _ = (payload, message);
                    Ok(())
                }
            )+
        }
    };
}

audit!(Audit, "accounts", "accounts.UserUpdated" "<2" => updated(UserUpdated), "accounts.UserDeleted" "*" => deleted(UserDeleted));

fn main() {
    let routes = Audit::routes();
    let handlers: Vec<_> = routes.infos().map(|route| (route.event, route.handler)).collect();
    assert_eq!(handlers, [("accounts.UserUpdated", "updated"), ("accounts.UserDeleted", "deleted")]);
}
