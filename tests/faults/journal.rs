//! What handlers did, in the order they did it, across processes: a file that all of them append to.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::support::ledger::Ledger;

/// Appends to the file. A line is one write of a few bytes, and lines of several processes do not mix; what was written is there
/// whatever becomes of the process.
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    pub(crate) fn open(path: impl AsRef<Path>) -> Self {
        Self { file: OpenOptions::new().create(true).append(true).open(path).unwrap() }
    }

    /// A handler has taken effect.
    pub(crate) fn note(&self, player: i64, serial: i64) {
        let line = format!("{player} {serial}\n");
        (&self.file).write_all(line.as_bytes()).unwrap();
    }
}

/// The file, read by the parent.
pub(crate) struct JournalFile {
    folder: tempfile::TempDir,
}

impl JournalFile {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// What it says. Effects of events are counted as they stand; `effects` is how many there were.
    pub(crate) fn ledger(&self) -> (Ledger, usize) {
        let ledger = Ledger::default();
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        let mut effects = 0;
        for line in text.lines() {
            let (player, serial) = line.split_once(' ').unwrap();
            ledger.note(player, serial.parse().unwrap());
            effects += 1;
        }
        (ledger, effects)
    }
}

#[test]
fn a_journal_of_several_writers_shows_a_loss_a_repeat_and_a_swap() {
    use crate::support::ledger::Audit;
    use crate::support::scores::posted;
    let file = JournalFile::new();
    let (first, second) = (Journal::open(file.path()), Journal::open(file.path()));
    for (journal, serial) in [(&first, 1), (&second, 3), (&first, 2), (&second, 2), (&first, 5)] {
        journal.note(0, serial);
    }
    let (ledger, effects) = file.ledger();
    assert_eq!(effects, 5);
    assert_eq!(ledger.audit(&posted(1, 5)), Audit { lost: 1, out_of_order: 1, repeated: 1, invented: 0 });
}
