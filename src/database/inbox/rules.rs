//! What an inbox says of an event: a pure decision.

use std::cmp::Ordering;

/// The latest event of a stream that was handled, or passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Latest {
    pub(super) epoch: u32,
    pub(super) sequence: i64,
    pub(super) event_id: String,
}

/// What an inbox says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is newer than all that was handled. Nothing says that it is the next: filters make gaps normal.
    Newer,
    /// It was passed over before, and may be handled once.
    PassedOver,
    /// It was handled before.
    Repeat,
    /// Another event has its place in the stream.
    Fork,
}

/// Judge `event`. `passed_over`: whether it is known as one that was passed over.
pub(super) fn judge(latest: Option<&Latest>, passed_over: bool, event: &Latest) -> Verdict {
    let Some(latest) = latest else { return Verdict::Newer };
    match (event.epoch, event.sequence).cmp(&(latest.epoch, latest.sequence)) {
        Ordering::Greater => Verdict::Newer,
        _ if passed_over => Verdict::PassedOver,
        Ordering::Equal if event.event_id != latest.event_id => Verdict::Fork,
        Ordering::Equal | Ordering::Less => Verdict::Repeat,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn event(epoch: u32, sequence: i64, event_id: &str) -> Latest {
        Latest { epoch, sequence, event_id: event_id.to_owned() }
    }

    #[test]
    fn an_event_is_judged_by_its_epoch_its_sequence_and_its_id() {
        let latest = event(2, 7, "a");
        for (incoming, passed_over, verdict) in [
            (event(2, 8, "b"), false, Verdict::Newer),
            (event(2, 700, "b"), false, Verdict::Newer),
            (event(2, 7, "a"), false, Verdict::Repeat),
            (event(2, 7, "b"), false, Verdict::Fork),
            (event(2, 6, "b"), false, Verdict::Repeat),
            (event(1, 900, "b"), false, Verdict::Repeat),
            (event(3, 1, "b"), false, Verdict::Newer),
            (event(2, 7, "a"), true, Verdict::PassedOver),
            (event(2, 7, "b"), true, Verdict::PassedOver),
            (event(2, 6, "b"), true, Verdict::PassedOver),
            (event(1, 9, "b"), true, Verdict::PassedOver),
        ] {
            assert_eq!(judge(Some(&latest), passed_over, &incoming), verdict, "{incoming:?} {passed_over}");
        }
        assert_eq!(judge(None, false, &event(0, 40, "a")), Verdict::Newer);
    }

    /// An inbox as the database keeps it.
    #[derive(Default)]
    struct Model {
        latest: Option<Latest>,
        holes: HashSet<(u32, i64, String)>,
    }

    impl Model {
        fn judge(&self, event: &Latest) -> (Verdict, (u32, i64, String)) {
            let hole = (event.epoch, event.sequence, event.event_id.clone());
            (judge(self.latest.as_ref(), self.holes.contains(&hole), event), hole)
        }

        /// Whether the handler runs.
        fn deliver(&mut self, event: &Latest) -> bool {
            let (verdict, hole) = self.judge(event);
            if verdict == Verdict::Newer {
                self.latest = Some(event.clone());
            }
            let admitted = matches!(verdict, Verdict::Newer | Verdict::PassedOver);
            if admitted {
                self.holes.remove(&hole);
            }
            admitted
        }

        fn pass_over(&mut self, event: &Latest) {
            let (verdict, hole) = self.judge(event);
            if verdict == Verdict::Newer {
                self.latest = Some(event.clone());
            }
            if verdict != Verdict::Repeat {
                self.holes.insert(hole);
            }
        }
    }

    proptest! {
        /// Whatever is delivered again, given up and delivered anew: an event takes effect at most once, and one that was given
        /// up before it took effect still does when it is delivered later.
        #[test]
        fn an_event_takes_effect_once_however_it_is_delivered(
            steps in proptest::collection::vec((0_usize..12, any::<bool>()), 0..80)
        ) {
            // In order, as a stream is: two epochs, with gaps where filters left something out.
            let events: Vec<_> = (0_u32..12).map(|n| event(n / 8, i64::from(n % 8) * 2, &format!("e{n}"))).collect();
            let mut model = Model::default();
            let mut effects: HashMap<usize, u32> = HashMap::new();
            let mut furthest = None;
            let mut given_up = HashSet::new();
            for (index, gives_up) in steps {
                let newest = furthest.is_none_or(|furthest| index > furthest);
                if gives_up {
                    // Only what has not taken effect and was not left behind can fail in a handler.
                    if newest {
                        given_up.insert(index);
                    }
                    model.pass_over(&events[index]);
                } else {
                    let admitted = model.deliver(&events[index]);
                    prop_assert_eq!(admitted, newest || given_up.contains(&index));
                    if admitted {
                        *effects.entry(index).or_default() += 1;
                        given_up.remove(&index);
                    }
                }
                furthest = furthest.max(Some(index));
            }
            prop_assert!(effects.values().all(|count| *count == 1), "{:?}", effects);
        }
    }
}
