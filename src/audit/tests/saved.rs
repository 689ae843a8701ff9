//! An audit goes on where it was interrupted.

use std::fs;

use super::*;
use crate::audit::AuditError;
use crate::audit::state::Progress;

fn lines() -> Vec<Line> {
    let mut lines: Vec<_> =
        (1..=40).flat_map(|sequence| (0..50).map(move |stream| Line::new(stream, sequence))).collect();
    lines.remove(700);
    lines.swap(900, 950);
    lines.insert(1_000, lines[10]);
    lines.push(Line { epoch: 1, ..Line::new(3, 5) });
    lines.push(Line { epoch: 0, ..Line::new(3, 41) });
    lines
}

fn save(reader: Reader, path: &std::path::Path) {
    let over = AuditReport { topic: "accounts".to_owned(), passes: 2, ..AuditReport::default() };
    Progress { streams: reader.streams, log: reader.log, over }.save(path).unwrap();
}

#[test]
fn an_audit_that_goes_on_from_its_state_finds_what_one_without_a_break_finds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    assert!(Progress::load(&path, "accounts").unwrap().is_none());
    let whole = report_of(&lines());
    assert_eq!(counts(&whole)[0], 1);
    for cut in [0, 1, 699, 701, 925, 1_500, lines().len()] {
        let (before, after) = (&lines()[..cut], &lines()[cut..]);
        let mut reader = Reader::from(0);
        reader.read(before);
        save(reader, &path);
        let Progress { streams, log, over } = Progress::load(&path, "accounts").unwrap().unwrap();
        assert_eq!(over.passes, 2);
        let mut reader = Reader { streams, log };
        reader.read(after);
        assert_eq!(reader.report(), whole, "cut at {cut}");
    }
}

#[test]
fn a_state_that_is_damaged_cut_off_or_of_another_topic_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut reader = Reader::from(0);
    reader.read(&lines());
    save(reader, &path);
    let good = fs::read(&path).unwrap();
    let refused = |topic: &str| match Progress::load(&path, topic) {
        Err(AuditError::State { reason, .. }) => reason,
        other => panic!("{:?}", other.map(|found| found.is_some())),
    };
    assert!(refused("orders").contains("accounts"));
    for at in [0, 17, 30, good.len() / 2, good.len() - 40, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).unwrap();
        refused("accounts");
        fs::write(&path, &good[..at]).unwrap();
        refused("accounts");
    }
    fs::write(&path, &good).unwrap();
    assert!(Progress::load(&path, "accounts").unwrap().is_some());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}
