//! Cargo compiles a crate again when a schema changes: a small crate is built by cargo itself, once for each change.
//!
//! It lies, and builds, within the workspace's own target folder, so that what it depends on is compiled once.
#![allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const MAIN: &str = r#"
mod events {
    tidings::events!("schemas/generated");
}

#[derive(tidings::Event, serde::Serialize, serde::Deserialize)]
#[event(name = "probe.Derived", version = "1.0.0", schema = "schemas/derived/Derived.avsc")]
struct Derived {
    #[event(key)]
    user_id: i64,
}

fn main() {
    println!("{}", <Derived as tidings::Event>::SCHEMA);
    println!("{}", <events::probe::Generated as tidings::Event>::SCHEMA);
}
"#;

/// A crate with an event that derives and a folder of events that are generated.
struct Probe {
    folder: PathBuf,
    target: PathBuf,
}

impl Probe {
    fn new(name: &str) -> Self {
        let test = std::env::current_exe().unwrap();
        // target/debug/deps/test-hash
        let target = test.ancestors().nth(3).unwrap().to_owned();
        let folder = target.join("tests").join(name);
        let _ = fs::remove_dir_all(&folder);
        let probe = Self { folder, target };
        let workspace = Path::new(WORKSPACE).canonicalize().unwrap();
        let tidings = workspace.to_str().unwrap();
        // A workspace of its own, with the versions that are there.
        probe.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
                 serde = {{ version = \"1\", features = [\"derive\"] }}\n\
                 tidings = {{ path = {tidings:?}, default-features = false, features = [\"macros\"] }}\n"
            ),
        );
        probe.write("Cargo.lock", &fs::read_to_string(workspace.join("Cargo.lock")).unwrap());
        probe.write("src/main.rs", MAIN);
        probe.schema("derived/Derived", "the first", "user_id");
        probe.schema("generated/Generated", "the first", "user_id");
        probe
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn schema(&self, path: &str, doc: &str, field: &str) {
        let name = path.rsplit('/').next().unwrap();
        let text = format!(
            r#"{{"type": "record", "name": "{name}", "namespace": "probe", "doc": "{doc}", "tidings.version": "1.0.0",
                "fields": [{{"name": "{field}", "type": "long", "tidings.key": true}}]}}"#
        );
        self.write(&format!("schemas/{path}.avsc"), &text);
    }

    fn cargo(&self, command: &str) -> Output {
        Command::new(env!("CARGO"))
            .args([command, "--quiet", "--offline", "--target-dir"])
            .arg(&self.target)
            .current_dir(&self.folder)
            .output()
            .unwrap()
    }

    /// What the crate prints: each schema, on a line of its own but for those within it.
    fn prints(&self) -> String {
        let output = self.cargo("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self) -> String {
        let output = self.cargo("build");
        assert!(!output.status.success(), "it was built");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_schema_that_changes_is_compiled_in_anew_and_checked_anew() {
    let probe = Probe::new("tidings-rebuild-probe");
    assert_eq!(probe.prints().matches("the first").count(), 2);
    // Nothing but the file changes.
    probe.schema("derived/Derived", "the second", "user_id");
    let printed = probe.prints();
    assert_eq!([printed.matches("the first").count(), printed.matches("the second").count()], [1, 1], "{printed}");
    probe.schema("generated/Generated", "the second", "user_id");
    assert_eq!(probe.prints().matches("the second").count(), 2);
    // What no longer fits is found, and so is that it fits again.
    probe.schema("derived/Derived", "the third", "player_id");
    let said = probe.refuses();
    assert!(said.contains("`Derived` lacks the field `player_id` of its schema"), "{said}");
    probe.schema("derived/Derived", "the fourth", "user_id");
    assert!(probe.prints().contains("the fourth"));
}

#[test]
fn a_new_file_in_the_folder_is_noticed_with_the_line_in_the_build_script_that_the_documentation_gives() {
    let probe = Probe::new("tidings-rebuild-probe-folder");
    probe.write("build.rs", "fn main() {\n    println!(\"cargo::rerun-if-changed=schemas/generated\");\n}\n");
    probe.prints();
    // The folder is read again: the new file's mistake is found without a change to the crate's code.
    probe.write("schemas/generated/Added.avsc", "not a schema");
    let said = probe.refuses();
    assert!(said.contains("Added.avsc"), "{said}");
    probe.schema("generated/Added", "the added", "user_id");
    probe.prints();
    probe.write("src/main.rs", &MAIN.replace("events::probe::Generated as", "events::probe::Added as"));
    assert!(probe.prints().contains("the added"));
    // A file that is taken away is missed.
    fs::remove_file(probe.folder.join("schemas/generated/Added.avsc")).unwrap();
    let said = probe.refuses();
    assert!(said.contains("Added"), "{said}");
}
