//! The servers, to be stopped and frozen. Whatever a test did to one is undone when it ends.

use std::process::Command;

use tokio::sync::{Mutex, MutexGuard};

use crate::setting;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// All of the servers, for one test alone.
pub(crate) struct Servers {
    _alone: MutexGuard<'static, ()>,
    harmed: bool,
}

impl Servers {
    pub(crate) async fn alone() -> Self {
        Self { _alone: ALONE.lock().await, harmed: false }
    }

    /// End Kafka with SIGKILL.
    pub(crate) fn kill_kafka(&mut self) {
        self.kill("kafka");
    }

    /// End a server with SIGKILL.
    pub(crate) fn kill(&mut self, server: &str) {
        self.harmed = true;
        run(&["kill", server]);
    }

    /// Stop the schema registry, in order: what it was given a moment ago is still to be written to its file.
    pub(crate) fn stop_registry(&mut self) {
        self.harmed = true;
        run(&["stop", "registry"]);
    }

    /// End MySQL with SIGKILL.
    pub(crate) fn kill_mysql(&mut self) {
        self.harmed = true;
        run(&["kill", "mysql"]);
    }

    /// Stop Kafka where it stands: connections stay open and nothing answers. It is the coordinator of every group, too.
    pub(crate) fn freeze_kafka(&mut self) {
        self.harmed = true;
        run(&["freeze", "kafka"]);
    }

    pub(crate) fn thaw_kafka(&mut self) {
        run(&["thaw", "kafka"]);
        self.harmed = false;
    }

    /// Start a server that was ended, and wait until it answers.
    pub(crate) fn start(&mut self, server: &str) {
        run(&["start", server]);
        self.harmed = false;
    }

    /// Start what is not running, and wait until it answers.
    pub(crate) fn heal(&mut self) {
        run(&["up"]);
        self.harmed = false;
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if self.harmed {
            // The test has failed already; the next one needs servers.
            let _ = Command::new(setting("TIDINGS_TEST_SERVERS")).arg("up").status();
        }
    }
}

fn run(arguments: &[&str]) {
    let status = Command::new(setting("TIDINGS_TEST_SERVERS")).args(arguments).status().unwrap();
    assert!(status.success(), "scripts/servers {arguments:?} failed");
}
