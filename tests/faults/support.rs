//! What these tests have in common with those of the integration.

#[cfg(feature = "store")]
#[path = "../integration/support/appending.rs"]
pub(crate) mod appending;
#[path = "../integration/support/chance.rs"]
pub(crate) mod chance;
#[path = "../integration/support/child.rs"]
pub(crate) mod child;
#[path = "../integration/support/groups.rs"]
pub(crate) mod groups;
#[path = "../integration/support/jvm.rs"]
pub(crate) mod jvm;
#[path = "../integration/support/ledger.rs"]
pub(crate) mod ledger;
#[path = "../integration/support/running.rs"]
pub(crate) mod running;
#[path = "../integration/support/scene.rs"]
pub(crate) mod scene;
#[path = "../integration/support/scores.rs"]
pub(crate) mod scores;
#[path = "../integration/support/store.rs"]
pub(crate) mod store;
#[path = "../integration/support/wait.rs"]
pub(crate) mod wait;
