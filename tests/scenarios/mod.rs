//! What must hold on every database: the same scenarios run on SQLite, MySQL and MariaDB.

pub(crate) mod account;
pub(crate) mod relaying;
pub(crate) mod stage;
pub(crate) mod transactions;

/// A test for each scenario, on the stage that `$stage` sets.
#[macro_export]
macro_rules! scenarios {
    ($stage:expr => $($module:ident { $($name:ident),+ $(,)? })+) => {
        $(mod $module {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let stage = $stage.await;
                scenarios::$module::$name(&stage).await;
                stage.clear().await;
            })+
        })+
    };
}
