//! What it may take to bring two schemas together, for a plan and for whoever checks whether there is one.

use serde_json::Value;

use super::{Located, Mismatch};
use crate::schema::json_datum::{self, Budget, Exceeded, JsonMismatch};

/// How many comparisons of types it may take, and how many values the defaults of fields may have. Unions whose branches nearly fit
/// are compared each with each at every level, and defaults hold defaults: a short schema can ask for no end of either.
const MAX_STEPS: usize = 262_144;

/// How many bytes of names, symbols, defaults and reasons may be kept. A schema has a mebibyte at most, but may refer to a long
/// name, or to a record with a long default, from thousands of places.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How many symbols of enums are compared in one step, by their hashes.
const SYMBOLS_A_STEP: usize = 16;

/// What is left of it.
#[derive(Debug)]
pub(in crate::schema) struct Bounds {
    /// Comparisons.
    steps: usize,
    /// Values of defaults, and bytes of all that is kept.
    budget: Budget,
    /// What ran out.
    given_up: Option<Bound>,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Comparisons,
    Bytes,
    Values,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { steps: MAX_STEPS, budget: Budget::new(MAX_STEPS, MAX_BYTES), given_up: None }
    }
}

impl Bounds {
    /// Why nothing more is compared; `None` while nothing ran out.
    pub(in crate::schema) fn exceeded(&self) -> Option<Mismatch> {
        self.given_up.map(Bound::exceeded)
    }

    /// Count so many comparisons.
    pub(in crate::schema) fn step(&mut self, count: usize) -> Result<(), Mismatch> {
        match self.steps.checked_sub(count) {
            Some(left) if self.given_up.is_none() => {
                self.steps = left;
                Ok(())
            }
            _ => Err(self.give_up(Bound::Comparisons)),
        }
    }

    /// Count the comparison of enums with so many symbols each.
    pub(in crate::schema) fn step_symbols(&mut self, written: usize, read: usize) -> Result<(), Mismatch> {
        self.step(written / SYMBOLS_A_STEP + read / SYMBOLS_A_STEP)
    }

    /// Count what is kept.
    pub(in crate::schema) fn take_bytes(&mut self, count: usize) -> Result<(), Mismatch> {
        self.budget.take_bytes(count).map_err(|_| self.give_up(Bound::Bytes))
    }

    /// A field's default, written with its schema. Where it is refused, it may be for want of what is left: see
    /// [`exceeded`](Self::exceeded).
    pub(in crate::schema) fn default(&mut self, schema: Located<'_>, default: &Value) -> Result<Vec<u8>, JsonMismatch> {
        let mut datum = Vec::new();
        let written = json_datum::write(schema, default, &mut datum, &mut self.budget);
        match self.budget.exceeded() {
            Some(Exceeded::Values) => drop(self.give_up(Bound::Values)),
            Some(Exceeded::Bytes) => drop(self.give_up(Bound::Bytes)),
            None => {}
        }
        written.map(|()| datum)
    }

    /// Nothing more is compared; for want of `bound`, where nothing ran out before.
    fn give_up(&mut self, bound: Bound) -> Mismatch {
        self.given_up.get_or_insert(bound).exceeded()
    }
}

impl Bound {
    fn exceeded(self) -> Mismatch {
        Mismatch::new(match self {
            Self::Comparisons => format!("to bring the schemas together takes more than {MAX_STEPS} comparisons"),
            Self::Bytes => {
                format!(
                    "to bring the schemas together takes more than {MAX_BYTES} bytes of names, symbols and defaults"
                )
            }
            Self::Values => format!("with all its defaults it has too many values: more than {MAX_STEPS}"),
        })
    }
}
