//! Rules against a model that knows nothing of batches, caches or rows.

use proptest::prelude::*;

use super::*;
use crate::envelope::Envelope;
use crate::event::Stream;

/// What is asked, of few streams and with few ids, so that everything happens.
#[derive(Debug, Clone)]
enum Asked {
    Relay { stream: u8, epoch: u32, sequence: u64, id: u8, payload: u8 },
    Append { stream: u8, ids: Vec<u8>, expected: ExpectedVersion, payload: u8 },
}

fn asked() -> impl Strategy<Value = Asked> {
    let relay = (0..3_u8, 0..3_u32, 0..5_u64, 0..24_u8, 0..2_u8)
        .prop_map(|(stream, epoch, sequence, id, payload)| Asked::Relay { stream, epoch, sequence, id, payload });
    // A relay that does as it should: what is next, or what was before.
    let expected = prop_oneof![
        Just(ExpectedVersion::Any),
        Just(ExpectedVersion::None),
        (0..6_u64).prop_map(ExpectedVersion::Exact)
    ];
    let append = (2..5_u8, proptest::collection::btree_set(0..24_u8, 1..3), expected, 0..2_u8).prop_map(
        |(stream, ids, expected, payload)| Asked::Append { stream, ids: ids.into_iter().collect(), expected, payload },
    );
    prop_oneof![3 => relay, 1 => append]
}

fn new_event(stream: u8, id: u8, payload: u8) -> NewEvent {
    let envelope = Envelope {
        id: Uuid::from_u128(id.into()),
        source: "accounts".into(),
        event: "accounts.E".into(),
        schema_version: "1.0.0".into(),
        time: chrono::DateTime::UNIX_EPOCH,
        recorded_time: chrono::DateTime::UNIX_EPOCH,
        stream: Stream::from_name(&format!("A/{stream}")),
        sequence: None,
        stream_epoch: 0,
        key: stream.to_string(),
        correlation_id: "c".to_owned(),
        causation_id: None,
        data_schema: "urn:avro:1".to_owned(),
        traceparent: "t".to_owned(),
        tracestate: None,
    };
    NewEvent { envelope, payload: vec![payload].into() }
}

fn relayed(stream: u8, epoch: u32, sequence: u64, id: u8, payload: u8) -> NewEvent {
    let mut event = new_event(stream, id, payload);
    event.envelope.sequence = Some(sequence);
    event.envelope.stream_epoch = epoch;
    event
}

/// One stored event: `(stream, epoch, sequence, id, payload, is direct)`.
type Row = (u8, u32, u64, u8, u8, bool);

/// The model: a list of everything that was stored, and nothing else.
#[derive(Debug, Default)]
struct Model(Vec<Row>);

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Stored(Vec<(u32, u64)>),
    Repeated(Vec<(u32, u64)>),
    Refused,
}

impl Model {
    fn of_id(&self, id: u8) -> Option<&Row> {
        self.0.iter().find(|row| row.3 == id)
    }

    fn last(&self, stream: u8) -> Option<&Row> {
        self.0.iter().filter(|row| row.0 == stream).max_by_key(|row| (row.1, row.2))
    }

    fn ask(&mut self, asked: &Asked) -> Verdict {
        match asked {
            Asked::Relay { stream, epoch, sequence, id, payload } => {
                let row = (*stream, *epoch, *sequence, *id, *payload, false);
                if let Some(known) = self.of_id(*id) {
                    // Who numbered it is not part of what it says.
                    let same = (known.0, known.1, known.2, known.4) == (row.0, row.1, row.2, row.4);
                    return if same { Verdict::Repeated(vec![(row.1, row.2)]) } else { Verdict::Refused };
                }
                let follows = match self.last(*stream) {
                    None => *sequence == 1,
                    Some(last) if last.5 => false,
                    Some(last) if last.1 == *epoch => *sequence == last.2 + 1,
                    Some(last) => *epoch > last.1 && *sequence == 1,
                };
                if !follows {
                    return Verdict::Refused;
                }
                self.0.push(row);
                Verdict::Stored(vec![(row.1, row.2)])
            }
            Asked::Append { stream, ids, expected, payload } => {
                let known: Vec<_> = ids.iter().filter_map(|id| self.of_id(*id).copied()).collect();
                if known.iter().any(|row| row.0 != *stream || row.4 != *payload) {
                    return Verdict::Refused;
                }
                if !known.is_empty() {
                    let places: Vec<_> = known.iter().map(|row| (row.1, row.2)).collect();
                    let whole = known.len() == ids.len()
                        && places.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 + 1 == pair[1].1);
                    return if whole { Verdict::Repeated(places) } else { Verdict::Refused };
                }
                let last = self.last(*stream).copied();
                let is_expected = match expected {
                    ExpectedVersion::Any => true,
                    ExpectedVersion::None => last.is_none(),
                    ExpectedVersion::Exact(sequence) => last.map_or(0, |last| last.2) == *sequence,
                };
                if last.is_some_and(|last| !last.5) || !is_expected {
                    return Verdict::Refused;
                }
                let (epoch, from) = last.map_or((0, 0), |last| (last.1, last.2));
                let rows =
                    ids.iter().zip(from + 1..).map(|(id, sequence)| (*stream, epoch, sequence, *id, *payload, true));
                let rows: Vec<_> = rows.collect();
                self.0.extend(&rows);
                Verdict::Stored(rows.iter().map(|row| (row.1, row.2)).collect())
            }
        }
    }
}

/// What a database would keep between batches.
#[derive(Debug, Default)]
struct Tables {
    streams: BTreeMap<StreamId, StreamState>,
    events: HashMap<Uuid, NewEvent>,
}

impl Tables {
    fn judge(&self) -> Judge {
        let known = self.events.iter().map(|(id, event)| (*id, Known::Event(Box::new(event.clone()))));
        Judge::new(self.streams.clone(), known.collect(), 0)
    }

    fn write(&mut self, changes: Changes) {
        for (id, state, is_new) in changes.streams {
            assert_eq!(
                self.streams.insert(id, state).is_none(),
                is_new,
                "an insert that would fail, or an update of nothing"
            );
        }
        for event in changes.events {
            assert!(self.events.insert(event.id(), event).is_none(), "an id that is stored twice");
        }
    }
}

fn ask(judge: &mut Judge, asked: &Asked) -> Verdict {
    match asked {
        Asked::Relay { stream, epoch, sequence, id, payload } => {
            match judge.relay(&relayed(*stream, *epoch, *sequence, *id, *payload)) {
                Relayed::Stored => Verdict::Stored(vec![(*epoch, *sequence)]),
                Relayed::Repeated => Verdict::Repeated(vec![(*epoch, *sequence)]),
                Relayed::Refused(_) => Verdict::Refused,
            }
        }
        Asked::Append { stream, ids, expected, payload } => {
            let append = Append::new(ids.iter().map(|id| new_event(*stream, *id, *payload)), *expected);
            match judge.append(&append) {
                Ok(Appended { first, last, repeated }) => {
                    assert_eq!(first.epoch, last.epoch);
                    let places = (first.sequence..=last.sequence).map(|sequence| (first.epoch, sequence)).collect();
                    if repeated { Verdict::Repeated(places) } else { Verdict::Stored(places) }
                }
                Err(_) => Verdict::Refused,
            }
        }
    }
}

proptest! {
    #[test]
    fn every_stream_takes_what_the_model_takes_however_it_comes_in_batches(
        everything in proptest::collection::vec(asked(), 1..120),
        batches in proptest::collection::vec(1..9_usize, 120),
    ) {
        let (mut model, mut tables) = (Model::default(), Tables::default());
        let mut rest = &everything[..];
        for size in batches {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let mut judge = tables.judge();
            for asked in batch {
                prop_assert_eq!(ask(&mut judge, asked), model.ask(asked), "{:?}", asked);
            }
            tables.write(judge.changes());
        }
        // Whatever was asked: each stream's sequences are gapless from 1 in each of its epochs, which only rise.
        for stream in 0..5 {
            let mut last: Option<(u32, u64)> = None;
            for row in model.0.iter().filter(|row| row.0 == stream) {
                let follows = match last {
                    Some((epoch, sequence)) if epoch == row.1 => row.2 == sequence + 1,
                    Some((epoch, _)) => row.1 > epoch && row.2 == 1,
                    None => row.2 == 1,
                };
                prop_assert!(follows, "{row:?} behind {last:?}");
                last = Some((row.1, row.2));
            }
        }
        prop_assert_eq!(tables.events.len(), model.0.len());
    }
}

#[test]
fn a_key_that_differs_is_refused() {
    let mut judge = Judge::default();
    assert_eq!(judge.relay(&relayed(1, 0, 1, 1, 0)), Relayed::Stored);
    let mut other = relayed(1, 0, 2, 2, 0);
    other.envelope.key = "another".to_owned();
    assert!(matches!(judge.relay(&other), Relayed::Refused(Refusal::OtherKey { .. })));
}
