//! The commands of `docs/evolving-events.md`, and what it says they write.

use std::fs;
use std::path::Path;
use std::process::Command;

const GUIDE: &str = include_str!("../../docs/evolving-events.md");

/// A block of the page that is no Rust.
#[derive(Debug, PartialEq)]
enum Block {
    /// A file, named by the line before the block.
    File { path: String, text: String },
    /// Commands, each with what it writes.
    Commands(Vec<(String, String)>),
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut named = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            if let Some(path) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:")) {
                named = Some(path.to_owned());
            }
            continue;
        };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match kind {
            "json" => {
                let path = named.take().expect("a block of JSON without the name of its file before it");
                blocks.push(Block::File { path, text: text.join("\n") + "\n" });
            }
            "console" => {
                let mut commands: Vec<(String, String)> = Vec::new();
                for line in text {
                    match line.strip_prefix("$ ") {
                        Some(command) => commands.push((command.to_owned(), String::new())),
                        None => {
                            let (_, output) = commands.last_mut().expect("output without a command");
                            output.push_str(line);
                            output.push('\n');
                        }
                    }
                }
                blocks.push(Block::Commands(commands));
            }
            // Rust, which the documentation tests compile and run.
            "" => {}
            other => panic!("the page has a block of {other:?}, which no test looks at"),
        }
    }
    blocks
}

fn run(command: &str, folder: &Path) -> String {
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("tidings"), "{command}");
    let mut process = Command::new(env!("CARGO_BIN_EXE_tidings"));
    process.args(words).current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIDINGS_")) {
        process.env_remove(name);
    }
    let output = process.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_of_the_guide_writes_what_the_guide_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut ran = 0;
    for block in blocks(GUIDE) {
        match block {
            Block::File { path, text } => {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Block::Commands(commands) => {
                for (command, expected) in commands {
                    assert_eq!(run(&command, folder.path()), expected, "$ {command}");
                    ran += 1;
                }
            }
        }
    }
    assert!(ran >= 10, "{ran} commands were found");
    // The types that the guide generates are those of the schema it ends with.
    let last = fs::read_to_string(folder.path().join("schemas/accounts/Renamed.avsc")).unwrap();
    assert_eq!(last, include_str!("../schemas/guide/Renamed.avsc"));
}
