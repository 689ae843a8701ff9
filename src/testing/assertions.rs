//! What a test asserts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::attempt::{AttemptOutcome, HandlerAttempt};
use super::journal::{Place, Stage, State, name_of};
use super::panics::fail;
use super::published::Target;
use super::{EventRef, TestKit};
use crate::envelope::{EnvelopeView, header};

impl TestKit {
    /// Assert that each handler that takes the event has handled it once, in each group that reads it: one attempt said that it
    /// is done, however many failed before. Waits until every group is done with it, moving time on from retry to retry.
    ///
    /// # Panics
    /// No handler has handled it, or one did so twice; it became a dead letter; or it is not known.
    #[track_caller]
    pub fn assert_handled_once(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = ()> {
        self.assert_handled(event, 1)
    }

    /// As [`assert_handled_once`](Self::assert_handled_once), with another number: after a crash, say, it may be twice.
    ///
    /// # Panics
    /// A handler has handled it more or less often, or none has.
    #[track_caller]
    pub fn assert_handled(&self, event: &(impl EventRef + ?Sized), times: usize) -> impl Future<Output = ()> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let id = kit.id_of(&target, caller);
            kit.finished(&id, caller).await;
            let state = kit.inner.journal.lock();
            if state.is_given_up(&id) {
                let message = format!("{} became a dead letter{}", state.name(&id), state.describe(&id));
                drop(state);
                fail(caller, message);
            }
            let handled = state.times_done(&id);
            let wrong = handled.iter().find(|(_, done)| **done != times);
            let message = match wrong {
                Some(((group, handler), done)) => format!(
                    "{} was to be handled {} and was handled {} by {handler} of {group}{}",
                    state.name(&id),
                    count(times),
                    count(*done),
                    state.describe(&id)
                ),
                None if handled.is_empty() && times > 0 => format!(
                    "{} was to be handled {}, but no handler that was started takes it{}",
                    state.name(&id),
                    count(times),
                    state.describe(&id)
                ),
                None => return,
            };
            drop(state);
            fail(caller, message);
        }
    }

    /// Assert that no attempt has handled the event so far. Lets happen what can happen now; time stands still.
    ///
    /// # Panics
    /// A handler has handled it, or it is not known.
    #[track_caller]
    pub fn assert_not_handled(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = ()> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let id = kit.id_of(&target, caller);
            kit.settled(caller).await;
            let state = kit.inner.journal.lock();
            if state.times_done(&id).values().any(|done| *done > 0) {
                let message = format!("{} was not to be handled yet{}", state.name(&id), state.describe(&id));
                drop(state);
                fail(caller, message);
            }
        }
    }

    /// Assert that the event became a dead letter, in every group that has a handler for it. Waits as
    /// [`assert_handled_once`](Self::assert_handled_once) does.
    ///
    /// # Panics
    /// It did not, or it is not known.
    #[track_caller]
    pub fn assert_dead_lettered(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = ()> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let id = kit.id_of(&target, caller);
            kit.finished(&id, caller).await;
            let state = kit.inner.journal.lock();
            let handled = state.times_done(&id).into_iter().find(|(_, done)| *done > 0);
            let message = match handled {
                Some(((group, handler), _)) => format!("was handled by {handler} of {group}"),
                None if !state.is_given_up(&id) => "was neither handled nor given up".to_owned(),
                None => return,
            };
            let message =
                format!("{} was to become a dead letter and {message}{}", state.name(&id), state.describe(&id));
            drop(state);
            fail(caller, message);
        }
    }

    /// Assert that the event's key was parked because of it or of one before it, in a group. Waits as
    /// [`assert_handled_once`](Self::assert_handled_once) does.
    ///
    /// # Panics
    /// It was not, or it is not known.
    #[track_caller]
    pub fn assert_parked(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = ()> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let id = kit.id_of(&target, caller);
            kit.finished(&id, caller).await;
            let state = kit.inner.journal.lock();
            let places = state.places_of(&id);
            if !state.parked.iter().any(|(_, place)| places.contains(place)) {
                let message = format!("{} was to be parked{}", state.name(&id), state.describe(&id));
                drop(state);
                fail(caller, message);
            }
        }
    }

    /// Assert that the events of each key were begun in the order of their offsets, one at a time. Lets happen what can happen
    /// now; time stands still.
    ///
    /// # Panics
    /// One was begun while an earlier one of its key was not complete.
    #[track_caller]
    pub fn assert_in_order(&self) -> impl Future<Output = ()> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            kit.settled(caller).await;
            let breaks = kit.inner.journal.lock().order_breaks.clone();
            if !breaks.is_empty() {
                fail(caller, format_args!("events came out of order:\n    {}", breaks.join("\n    ")));
            }
        }
    }

    /// Wait until every group is done with the event, wherever it was written.
    async fn finished(&self, id: &str, caller: &Location<'_>) {
        let what = format!("{} to be handled", self.inner.journal.lock().name(id));
        let is_done = |state: &mut State| {
            let places = state.places_of(id);
            let groups = state.groups.values().filter(|group| !group.members.is_empty());
            groups
                .flat_map(|group| places.iter().map(move |place| (group, place)))
                .filter(|(group, place)| group.topics.contains(&place.0.topic))
                .all(|(group, place)| group.is_done(place))
                .then_some(())
        };
        self.wait(caller, &what, is_done).await;
        // What comes again comes now.
        self.settled(caller).await;
        self.wait(caller, &what, is_done).await;
    }

    /// The id of the event that is meant.
    pub(super) fn id_of(&self, target: &Target, caller: &Location<'_>) -> String {
        let found = self.inner.journal.lock().find(target);
        found.unwrap_or_else(|message| fail(caller, message))
    }
}

fn count(times: usize) -> String {
    match times {
        0 => "not at all".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{times} times"),
    }
}

impl State {
    /// The id of the event that is meant; else why there is none.
    pub(super) fn find(&self, target: &Target) -> Result<String, String> {
        let unknown = "was published through this kit, or read by its consumers";
        let (event, datum) = match target {
            Target::Id(id) if self.places_of(id).is_empty() => {
                return Err(format!("no event with the id {id} {unknown}"));
            }
            Target::Id(id) => return Ok(id.clone()),
            Target::Payload { event, datum: Err(error) } => {
                return Err(format!("the {event} cannot be encoded: {error}"));
            }
            Target::Payload { event, datum: Ok(datum) } => (event, datum),
        };
        let mut ids = self.ids_of(event, datum);
        ids.dedup();
        match &ids[..] {
            [id] => Ok(id.clone()),
            [] => Err(format!("no such {event} {unknown}")),
            ids => Err(format!(
                "such a {event} was published {} times, with different ids; say which is meant with what `publish` returned",
                ids.len()
            )),
        }
    }

    /// The ids of the events with this payload, repeats next to each other.
    fn ids_of(&self, event: &str, datum: &[u8]) -> Vec<String> {
        let mut ids: Vec<_> = self
            .records
            .values()
            .filter(|record| EnvelopeView::new(&record.headers).event() == Some(event))
            .filter(|record| record.payload.as_deref().is_some_and(|payload| payload.get(5..) == Some(datum)))
            .filter_map(|record| record.headers.get_str(header::ID).map(str::to_owned))
            .collect();
        ids.sort();
        ids
    }

    /// How often each handler that met the event has handled it.
    fn times_done(&self, id: &str) -> BTreeMap<(Arc<str>, &'static str), usize> {
        let mut times = BTreeMap::new();
        for attempt in self.attempts_at(id) {
            *times.entry((Arc::clone(&attempt.group), attempt.handler)).or_default() +=
                usize::from(attempt.outcome.is_done());
        }
        times
    }

    fn attempts_at(&self, id: &str) -> impl Iterator<Item = &HandlerAttempt> {
        self.attempts.iter().filter(move |attempt| attempt.id == id)
    }

    fn is_given_up(&self, id: &str) -> bool {
        let places = self.places_of(id);
        self.given_up.iter().any(|(_, place)| places.contains(place))
    }

    fn name(&self, id: &str) -> String {
        let place = self.places_of(id).pop();
        place
            .and_then(|place| self.records.get(&place))
            .map_or_else(|| id.to_owned(), |record| name_of(&record.headers))
    }

    /// What is known of an event, to be read by whoever wonders.
    fn describe(&self, id: &str) -> String {
        let mut text = String::new();
        for place in self.places_of(id) {
            text.push_str(&self.describe_place(&place));
        }
        for attempt in self.attempts_at(id) {
            let _ = write!(text, "\n    {attempt}");
        }
        text
    }

    fn describe_place(&self, place: &Place) -> String {
        let (partition, offset) = place;
        let mut text = format!("\n    at {partition}@{offset}");
        for (name, group) in &self.groups {
            if !group.topics.contains(&partition.topic) {
                continue;
            }
            let stage = match group.open.get(place).map(|open| open.stage) {
                _ if self.given_up.iter().any(|(group, given_up)| group == name && given_up == place) => {
                    "a dead letter"
                }
                _ if self.parked.iter().any(|(group, parked)| group == name && parked == place) => "parked",
                None if group.is_done(place) => "done with",
                None => "not known",
                Some(Stage::Unread) => "not read",
                Some(Stage::Queued | Stage::Held) => "waiting",
                Some(Stage::Running) => "running",
                Some(Stage::Pausing(_)) => "to be tried again",
            };
            let _ = write!(text, "; {name}: {stage}");
        }
        text
    }

    /// What consumers are not done with.
    pub(super) fn describe_open(&self) -> String {
        let mut text = String::new();
        let mut places: Vec<_> = self.groups.values().flat_map(|group| group.open.keys()).collect();
        places.sort();
        places.dedup();
        for place in places.iter().take(20) {
            let name = self.records.get(*place).map(|record| name_of(&record.headers)).unwrap_or_default();
            let _ = write!(text, "{} {name}", self.describe_place(place));
        }
        for attempt in self.attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Running).take(20) {
            let _ = write!(text, "\n    {attempt}");
        }
        if places.len() > 20 {
            let _ = write!(text, "\n    and {} more", places.len() - 20);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestKit;

    #[tokio::test]
    #[should_panic(expected = "events came out of order:\n    Board::on_renamed of boards: players[0]@1 began while")]
    async fn an_order_that_was_broken_fails_the_test() {
        let kit = TestKit::in_memory();
        kit.assert_in_order().await;
        let broken = "Board::on_renamed of boards: players[0]@1 began while players[0]@0 of that key is running";
        kit.inner.journal.lock().order_breaks.push(broken.to_owned());
        kit.assert_in_order().await;
    }
}
