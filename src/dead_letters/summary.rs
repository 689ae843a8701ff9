//! What a redrive did, or would do, in numbers.

use std::collections::BTreeMap;

use super::letter::Letter;
use super::refusal::Refusal;

/// The letters a summary shows whole.
const SHOWN: usize = 10;
/// The most groups of a breakdown: texts of errors may all differ.
const GROUPS: usize = 1_000;
/// The most of an error's text that tells groups apart, in bytes.
const TEXT: usize = 200;

/// Counts by something that letters have in common; `None` are those that do not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakdown<K: Ord> {
    counts: BTreeMap<Option<K>, u64>,
    others: u64,
}

impl<K: Ord> Default for Breakdown<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), others: 0 }
    }
}

impl<K: Ord> Breakdown<K> {
    /// Count one of `group`.
    pub fn add(&mut self, group: Option<K>) {
        if self.counts.len() >= GROUPS && !self.counts.contains_key(&group) {
            self.others += 1;
        } else {
            *self.counts.entry(group).or_default() += 1;
        }
    }

    /// The groups and their counts, the largest first.
    pub fn groups(&self) -> Vec<(Option<&K>, u64)> {
        let mut groups: Vec<_> = self.counts.iter().map(|(group, count)| (group.as_ref(), *count)).collect();
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        groups
    }

    /// How many are in none of the groups: beyond 1,000 groups no new ones are told apart.
    pub const fn others(&self) -> u64 {
        self.others
    }
}

/// What a redrive did, or would do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RedriveSummary {
    /// Letters redriven; in a plan, those that would be.
    pub redriven: u64,
    /// Letters selected that were redriven before: they are left alone.
    pub already_redriven: u64,
    /// Letters that are not redriven, by the reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Whether it ended at the limit that was set, with letters left.
    pub limited: bool,
    /// Whether it was told to stop.
    pub stopped: bool,
    /// Those redriven, by original topic.
    pub by_topic: Breakdown<String>,
    /// Those redriven, by handler.
    pub by_handler: Breakdown<String>,
    /// Those redriven, by the error's class and the beginning of its text.
    pub by_error: Breakdown<(String, String)>,
    /// The first of them, without payloads.
    pub first: Vec<Letter>,
}

impl RedriveSummary {
    /// `letter` is redriven.
    pub(super) fn redrove(&mut self, letter: &Letter) {
        let circumstances = letter.circumstances();
        self.redriven += 1;
        self.by_topic.add(circumstances.origin.as_ref().map(|origin| origin.topic.clone()));
        self.by_handler.add(circumstances.handler.clone());
        self.by_error.add(error_of(letter));
        if self.first.len() < SHOWN {
            self.first.push(letter.clone());
        }
    }

    /// A letter is refused.
    pub(super) fn refused(&mut self, why: Refusal) {
        *self.refused.entry(why).or_default() += 1;
    }
}

/// The error's class and the beginning of its text: what tells errors apart.
fn error_of(letter: &Letter) -> Option<(String, String)> {
    let circumstances = letter.circumstances();
    let text = circumstances.message.as_deref().unwrap_or_default();
    let text = &text[..text.floor_char_boundary(TEXT)];
    let class = circumstances.class.clone();
    (class.is_some() || !text.is_empty()).then(|| (class.unwrap_or_default(), text.to_owned()))
}

impl Letter {
    /// The error's class and the beginning of its text: what tells errors apart; `None` when it tells neither.
    pub fn error_group(&self) -> Option<(String, String)> {
        error_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_group_comes_first_and_groups_are_bounded() {
        let mut breakdown = Breakdown::default();
        for group in [Some("a"), Some("b"), None, Some("b")] {
            breakdown.add(group);
        }
        assert_eq!(breakdown.groups(), [(Some(&"b"), 2), (None, 1), (Some(&"a"), 1)]);
        let mut wide = Breakdown::default();
        (0..2_000).for_each(|group| wide.add(Some(group)));
        wide.add(Some(5));
        assert_eq!((wide.groups().len(), wide.others()), (1_000, 1_000));
        assert_eq!(wide.groups()[0], (Some(&5), 2));
    }
}
