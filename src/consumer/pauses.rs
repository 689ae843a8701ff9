//! What was paused and resumed, by selections that may lie within each other.

use super::commands::Selection;
use crate::transport::TopicPartition;

/// What was asked for, in its order: the latest word about a partition counts. It holds for partitions that are assigned later, too.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// No word is left whose partitions a later one is about as well.
    words: Vec<(Selection, Word)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Pause,
    Resume,
}

impl Pauses {
    pub(crate) fn pause(&mut self, selection: Selection) {
        self.forget_within(&selection);
        self.words.push((selection, Word::Pause));
    }

    pub(crate) fn resume(&mut self, selection: Selection) {
        self.forget_within(&selection);
        // It says nothing where nobody paused more than that.
        if self.words.iter().any(|(around, _)| around.covers(&selection)) {
            self.words.push((selection, Word::Resume));
        }
    }

    /// Whether `partition` is paused.
    pub(crate) fn hold(&self, partition: &TopicPartition) -> bool {
        let mut words = self.words.iter().rev();
        words.find(|(selection, _)| selection.contains(partition)).is_some_and(|(_, word)| *word == Word::Pause)
    }

    fn forget_within(&mut self, selection: &Selection) {
        self.words.retain(|(earlier, _)| !selection.covers(earlier));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selections() -> impl Strategy<Value = Selection> {
        let topic = prop_oneof![Just("accounts"), Just("scores")];
        prop_oneof![
            Just(Selection { topic: None, partition: None }),
            (topic, proptest::option::of(0..3))
                .prop_map(|(topic, partition)| Selection { topic: Some(topic.into()), partition }),
        ]
    }

    proptest! {
        #[test]
        fn the_latest_word_about_a_partition_counts_and_words_do_not_pile_up(
            asked in proptest::collection::vec((selections(), any::<bool>()), 0..100),
        ) {
            let mut pauses = Pauses::default();
            let mut expected = Vec::new();
            for topic in ["accounts", "scores"] {
                expected.extend((0..3).map(|partition| (TopicPartition { topic: topic.into(), partition }, false)));
            }
            for (selection, pause) in asked {
                for (partition, is_paused) in &mut expected {
                    if selection.contains(partition) {
                        *is_paused = pause;
                    }
                }
                if pause { pauses.pause(selection) } else { pauses.resume(selection) }
                for (partition, is_paused) in &expected {
                    prop_assert_eq!(pauses.hold(partition), *is_paused, "{} of {:?}", partition, pauses);
                }
                // As many as there are selections.
                prop_assert!(pauses.words.len() <= 9);
            }
        }
    }

    #[test]
    fn nothing_is_remembered_of_what_was_not_paused() {
        let mut pauses = Pauses::default();
        for partition in 0..1_000 {
            pauses.resume(Selection { topic: Some("accounts".into()), partition: Some(partition) });
        }
        assert!(pauses.words.is_empty());
    }
}
