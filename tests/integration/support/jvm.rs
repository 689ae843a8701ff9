//! Java programs of the tests, which `scripts/jvm-program` builds.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::setting;

/// The command that runs the program of the folder `folder` of `tests`.
pub(crate) fn jvm_program(folder: &str) -> Command {
    let script = Path::new(&setting("TIDINGS_TEST_SERVERS")).with_file_name("jvm-program");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let words = Command::new(script).arg(&folder).stderr(Stdio::inherit()).output().unwrap();
    assert!(words.status.success(), "scripts/jvm-program {} failed: its reason is above", folder.display());
    let words = String::from_utf8(words.stdout).unwrap();
    let mut words = words.lines();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}
