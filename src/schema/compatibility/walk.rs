//! Walks two schemas side by side, as a decode plan does, and notes every break rather than the first.

use std::fmt;

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, RecordSchema, ResolvedSchema, UnionSchema};
use rustc_hash::FxHashSet;

use super::breaks::Rule;
use crate::schema::contract::{Contract, describe};
use crate::schema::plan::{
    Base, Bounds, Located, Plan, base, branch_name, promotes, same_decimal, same_enum_name, same_fixed_name, same_unit,
    sources,
};

/// How deep the types of a schema may nest; a decode plan ends there too.
const MAX_DEPTH: usize = 128;

/// How many breaks are told. Who has as many knows enough, and each is looked for in the text of its schema.
const MAX_FOUND: usize = 100;

/// A step from a type into one of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Field(String),
    Items,
    Values,
    Branch(usize),
}

/// The way from the record to a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// About how many bytes it keeps.
    fn size(&self) -> usize {
        self.0.iter().map(|step| if let Step::Field(name) = step { name.len() } else { 0 }).sum()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index > 0 => write!(formatter, ".{name}")?,
                Step::Field(name) => formatter.write_str(name)?,
                Step::Items => formatter.write_str("[]")?,
                Step::Values => formatter.write_str("{}")?,
                Step::Branch(_) => {}
            }
        }
        Ok(())
    }
}

/// A break, by the way to it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) written: Path,
    pub(super) read: Path,
    pub(super) rule: Rule,
}

impl Found {
    /// What is wrong with the two as a whole.
    fn of_all(reason: String) -> Self {
        Self { written: Path::default(), read: Path::default(), rule: Rule::Structure { reason } }
    }
}

/// Whether there is a plan for reading the one as the other. Where there is one, some values may be unreadable all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Readable,
    Unreadable,
}

use Verdict::{Readable, Unreadable};

#[derive(Default)]
pub(super) struct Walk {
    found: Vec<Found>,
    /// What the walk may still take: as much as a plan, though it goes on where that ends at the first break.
    bounds: Bounds,
    written: Path,
    read: Path,
    /// Pairs of records seen before, by address: recursive types come back to them.
    records: Vec<(*const RecordSchema, *const RecordSchema)>,
}

impl Walk {
    /// Every break between the two.
    pub(super) fn of(writer: &Contract, reader: &Contract) -> Vec<Found> {
        let mut walk = Self::default();
        match (ResolvedSchema::new(writer.schema()), ResolvedSchema::new(reader.schema())) {
            (Ok(written), Ok(read)) => {
                walk.compare(
                    Located::root(writer.schema(), written.get_names()),
                    Located::root(reader.schema(), read.get_names()),
                );
            }
            (Err(error), _) | (_, Err(error)) => {
                walk.note(Rule::Structure { reason: error.to_string() });
            }
        }
        if let Some(exceeded) = walk.bounds.exceeded() {
            // A branch may have been left out for it: then what was found is not what is wrong.
            return vec![Found::of_all(exceeded.to_string())];
        }
        if walk.found.is_empty()
            && let Err(mismatch) = Plan::resolve(writer, reader)
        {
            // What a plan passes over counts against its bounds, too.
            walk.found.push(Found::of_all(mismatch.to_string()));
        }
        walk.found
    }

    fn note(&mut self, rule: Rule) -> Verdict {
        let kept = self.written.size() + self.read.size() + rule.size();
        // What is left out here stands behind others; and where bytes ran out, all of it is dropped.
        if self.found.len() < MAX_FOUND && self.bounds.take_bytes(kept).is_ok() {
            self.found.push(Found { written: self.written.clone(), read: self.read.clone(), rule });
        }
        Unreadable
    }

    fn mismatch(&mut self, written: &Schema, read: &Schema) -> Verdict {
        self.note(Rule::Type { written: describe(written), read: describe(read) })
    }

    /// The same, one step deeper on both sides.
    fn within(&mut self, written: Step, read: Step, compare: impl FnOnce(&mut Self) -> Verdict) -> Verdict {
        self.written.0.push(written);
        self.read.0.push(read);
        let verdict = compare(self);
        self.written.0.pop();
        self.read.0.pop();
        verdict
    }

    fn compare(&mut self, writer: Located<'_>, reader: Located<'_>) -> Verdict {
        if self.bounds.step(1).is_err() {
            return Unreadable;
        }
        if writer.depth() > MAX_DEPTH {
            return self.note(Rule::Structure { reason: format!("its type nests deeper than {MAX_DEPTH} levels") });
        }
        let (writer, reader) = match (writer.definition(), reader.definition()) {
            (Ok(writer), Ok(reader)) => (writer, reader),
            (Err(error), _) | (_, Err(error)) => return self.note(Rule::Structure { reason: error.to_string() }),
        };
        if !same_unit(writer.schema, reader.schema) {
            return self.mismatch(writer.schema, reader.schema);
        }
        match (base(writer.schema), base(reader.schema)) {
            (Base::Union(union), _) => self.union(writer, union, reader),
            (_, Base::Union(union)) => self.within_union(writer, reader, union),
            (Base::Record(written), Base::Record(read)) => self.record(writer, written, reader, read),
            (Base::Null, Base::Null) | (Base::Boolean, Base::Boolean) | (Base::Bytes | Base::Text, Base::Text) => {
                Readable
            }
            (Base::Number(written), Base::Number(read)) if promotes(written, read) => Readable,
            (Base::Bytes | Base::Text, Base::Bytes) if same_decimal(writer.schema, reader.schema).is_ok() => Readable,
            (Base::Fixed(written), Base::Fixed(read)) if written.size == read.size => {
                if !same_fixed_name(written, read) {
                    return self.renamed(written.name.name(), read.name.name());
                }
                match same_decimal(writer.schema, reader.schema) {
                    Ok(()) => Readable,
                    Err(_) => self.mismatch(writer.schema, reader.schema),
                }
            }
            (Base::Enum(written), Base::Enum(read)) => self.symbols(written, read),
            (Base::Array(written), Base::Array(read)) => {
                self.within(Step::Items, Step::Items, |walk| walk.compare(writer.part(written), reader.part(read)))
            }
            (Base::Map(written), Base::Map(read)) => {
                self.within(Step::Values, Step::Values, |walk| walk.compare(writer.part(written), reader.part(read)))
            }
            _ => self.mismatch(writer.schema, reader.schema),
        }
    }

    fn renamed(&mut self, written: &str, read: &str) -> Verdict {
        self.note(Rule::Name { written: written.to_owned(), read: read.to_owned() })
    }

    fn record(
        &mut self,
        writer: Located<'_>,
        written: &RecordSchema,
        reader: Located<'_>,
        read: &RecordSchema,
    ) -> Verdict {
        let pair = (std::ptr::from_ref(written), std::ptr::from_ref(read));
        if self.records.contains(&pair) {
            return Readable;
        }
        let aliased = read.aliases.iter().flatten().any(|alias| alias.name() == written.name.name());
        if written.name.name() != read.name.name() && !aliased {
            return self.renamed(written.name.name(), read.name.name());
        }
        let known = self.records.len();
        self.records.push(pair);
        let verdict = self.fields(writer, written, reader, read);
        if verdict == Unreadable {
            // What was found readable on the way may have relied on this record.
            self.records.truncate(known);
        }
        verdict
    }

    fn fields(
        &mut self,
        writer: Located<'_>,
        written: &RecordSchema,
        reader: Located<'_>,
        read: &RecordSchema,
    ) -> Verdict {
        let sources = sources(written, read);
        let taken: FxHashSet<usize> = sources.iter().flatten().copied().collect();
        let fields = written.fields.iter().enumerate();
        let unread = fields.filter(|(index, _)| !taken.contains(index)).map(|(_, field)| field.name.clone());
        let unread: Vec<String> = unread.collect();
        if self.bounds.step(read.fields.len() + unread.len()).is_err() {
            return Unreadable;
        }
        let mut verdict = Readable;
        for (field, source) in read.fields.iter().zip(&sources) {
            let step = Step::Field(field.name.clone());
            let found = match source {
                Some(index) => {
                    let from = &written.fields[*index];
                    self.within(Step::Field(from.name.clone()), step, |walk| {
                        walk.compare(writer.part(&from.schema), reader.part(&field.schema))
                    })
                }
                None => {
                    let default = field.default.as_ref();
                    let default = default.map(|default| self.bounds.default(reader.part(&field.schema), default));
                    self.read.0.push(step);
                    let found = match default {
                        Some(Ok(_)) => Readable,
                        Some(Err(misfit)) => self.note(Rule::Default { reason: misfit.to_string() }),
                        None if self.found.len() < MAX_FOUND => self.note(Rule::NoDefault { unread: unread.clone() }),
                        None => Unreadable,
                    };
                    self.read.0.pop();
                    found
                }
            };
            if found == Unreadable {
                verdict = Unreadable;
            }
        }
        verdict
    }

    /// A union as written: each branch is read by itself.
    fn union(&mut self, writer: Located<'_>, union: &UnionSchema, reader: Located<'_>) -> Verdict {
        let mut verdict = Unreadable;
        let mut unreadable = Vec::new();
        for (index, variant) in union.variants().iter().enumerate() {
            let variant = writer.part(variant);
            let before = self.found.len();
            self.written.0.push(Step::Branch(index));
            let found = match base(reader.schema) {
                Base::Union(read) => self.within_union(variant, reader, read),
                _ => self.compare(variant, reader),
            };
            self.written.0.pop();
            if found == Readable {
                verdict = Readable;
            } else {
                // That the branch cannot be read says more than why it fits none of the reader's types.
                self.found.truncate(before);
                let written = variant.definition().map_or_else(|_| describe(variant.schema), |at| describe(at.schema));
                unreadable.push(Rule::Branch { written, read: describe(reader.schema) });
            }
        }
        if verdict == Unreadable {
            return self.mismatch(writer.schema, reader.schema);
        }
        for rule in unreadable {
            self.note(rule);
        }
        Readable
    }

    /// No union as written: the first of the reader's branches that takes it, one of the same type before others.
    fn within_union(&mut self, writer: Located<'_>, reader: Located<'_>, union: &UnionSchema) -> Verdict {
        if self.bounds.step(union.variants().len()).is_err() {
            return Unreadable;
        }
        let Ok(writer) = writer.definition() else { return self.mismatch(writer.schema, reader.schema) };
        let name = branch_name(writer.schema);
        let mut candidates = Vec::with_capacity(union.variants().len());
        for (index, variant) in union.variants().iter().enumerate() {
            let Ok(variant) = reader.part(variant).definition() else {
                return self.mismatch(writer.schema, reader.schema);
            };
            candidates.push((branch_name(variant.schema) != name, index, variant));
        }
        candidates.sort_by_key(|&(differs, ..)| differs);
        let before = self.found.len();
        let mut closest = Vec::new();
        for (differs, index, variant) in candidates {
            self.read.0.push(Step::Branch(index));
            let verdict = self.compare(writer, variant);
            self.read.0.pop();
            if verdict == Readable {
                return Readable;
            }
            let found = self.found.split_off(before);
            // What is wrong within the branch of the same name tells more than that there is none.
            if !differs && matches!(base(variant.schema), Base::Record(_) | Base::Enum(_)) {
                closest = found;
            }
        }
        if closest.is_empty() {
            return self.mismatch(writer.schema, reader.schema);
        }
        self.found.extend(closest);
        Unreadable
    }

    fn symbols(&mut self, written: &EnumSchema, read: &EnumSchema) -> Verdict {
        if !same_enum_name(written, read) {
            return self.renamed(written.name.name(), read.name.name());
        }
        if self.bounds.step_symbols(written.symbols.len(), read.symbols.len()).is_err() {
            return Unreadable;
        }
        let symbols: FxHashSet<&String> = read.symbols.iter().collect();
        let has_default = read.default.as_ref().is_some_and(|default| symbols.contains(default));
        let known = |symbol: &String| has_default || symbols.contains(symbol);
        let unknown: Vec<String> = written.symbols.iter().filter(|symbol| !known(symbol)).cloned().collect();
        if unknown.is_empty() {
            return Readable;
        }
        let none_known = unknown.len() == written.symbols.len();
        self.note(Rule::Symbols { unknown, name: read.name.name().to_owned() });
        if none_known { Unreadable } else { Readable }
    }
}
