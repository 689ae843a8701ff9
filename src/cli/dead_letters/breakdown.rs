//! Counts, as rows.

use serde::Serialize;

use crate::dead_letters::Breakdown;

/// How many letters have something in common.
#[derive(Serialize)]
pub(super) struct CountRow {
    pub(super) letters: u64,
    /// What they have in common; none for those that do not tell.
    #[serde(flatten)]
    pub(super) group: GroupRow,
}

/// What letters have in common.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum GroupRow {
    Error { class: Option<String>, message: Option<String> },
    Handler { handler: Option<String> },
    Key { key: Option<String> },
    Event { event: Option<String> },
    Topic { topic: Option<String> },
}

impl GroupRow {
    /// As one cell, or two.
    pub(super) fn cells(&self) -> [String; 2] {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        match self {
            Self::Error { class, message } => [shown(class), shown(message)],
            Self::Handler { handler: text }
            | Self::Key { key: text }
            | Self::Event { event: text }
            | Self::Topic { topic: text } => [shown(text), String::new()],
        }
    }
}

/// The groups of `breakdown` as rows, the largest first; the last row stands for those that were not told apart.
pub(super) fn rows<K: Ord + Clone>(breakdown: &Breakdown<K>, group: impl Fn(Option<K>) -> GroupRow) -> Vec<CountRow> {
    let mut rows: Vec<_> =
        breakdown.groups().into_iter().map(|(key, letters)| CountRow { letters, group: group(key.cloned()) }).collect();
    if breakdown.others() > 0 {
        rows.push(CountRow { letters: breakdown.others(), group: group(None) });
    }
    rows
}

/// The row of an error's class and text.
pub(super) fn error(group: Option<(String, String)>) -> GroupRow {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let (class, message) = group.map_or((None, None), |(class, message)| (given(class), given(message)));
    GroupRow::Error { class, message }
}
