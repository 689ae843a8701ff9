//! Resolves a writer's schema against a reader's, by Avro's rules.

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, FixedSchema, RecordField, RecordSchema, UnionSchema};
use rustc_hash::{FxHashMap, FxHashSet};

use super::base::{Base, base, branch_name};
use super::mismatch::{Mismatch, mismatch};
use super::{Branch, DefaultField, Field, Located, Node, NodeId, Number, Record, Symbol};
use crate::schema::json_datum;

/// How deep the types of a schema may nest. Deeper values would not be read anyway.
const MAX_DEPTH: usize = 128;

/// How many comparisons of types a plan may take, and how many values the defaults of its fields may have. Unions whose branches
/// nearly fit are compared each with each at every level, and defaults hold defaults: a short schema can ask for no end of either.
const MAX_STEPS: usize = 262_144;

/// How deep records nest that are looked at for one that could be without a byte. What is deeper cannot be read.
const MAX_EMPTY_DEPTH: usize = 64;

pub(super) struct Resolver {
    nodes: Vec<Node>,
    /// How many comparisons are left.
    steps: usize,
    /// How many values of defaults are left.
    default_values: usize,
    /// Pairs of records seen before, by address: recursive types come back to them.
    records: FxHashMap<(*const RecordSchema, *const RecordSchema), NodeId>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { nodes: Vec::new(), steps: MAX_STEPS, default_values: MAX_STEPS, records: FxHashMap::default() }
    }
}

impl Resolver {
    /// The finished nodes.
    pub(super) fn into_nodes(mut self) -> Box<[Node]> {
        let mut empty = vec![None; self.nodes.len()];
        for id in 0..self.nodes.len() {
            self.may_be_empty(id, 0, &mut empty);
        }
        let empty = |id: NodeId| empty[id] == Some(true);
        for id in 0..self.nodes.len() {
            match &mut self.nodes[id] {
                Node::Array { items, weightless } => *weightless = empty(*items),
                Node::Record(record) => {
                    record.empty_values = usize::from(empty(id));
                    record.empty_values += record.fields.iter().filter(|field| empty(field.value)).count();
                }
                _ => {}
            }
        }
        self.nodes.into()
    }

    /// Both schemas as a whole.
    pub(super) fn root(&mut self, writer: Located<'_>, reader: Located<'_>) -> Result<NodeId, Mismatch> {
        let root = self.resolve(writer, reader);
        // A branch of a union may have been given up for want of steps: then it is not known whether it can be read.
        if self.steps == 0 { Err(too_many_steps()) } else { root }
    }

    /// Count so many comparisons.
    fn step(&mut self, count: usize) -> Result<(), Mismatch> {
        self.steps = self.steps.saturating_sub(count);
        if self.steps == 0 { Err(too_many_steps()) } else { Ok(()) }
    }

    fn resolve(&mut self, writer: Located<'_>, reader: Located<'_>) -> Result<NodeId, Mismatch> {
        self.step(1)?;
        if writer.depth() > MAX_DEPTH {
            return Err(Mismatch::new(format!("its type nests deeper than {MAX_DEPTH} levels")));
        }
        let (writer, reader) = (writer.definition()?, reader.definition()?);
        if !same_unit(writer.schema, reader.schema) {
            return Err(mismatch(writer.schema, reader.schema));
        }
        let node = match (base(writer.schema), base(reader.schema)) {
            (Base::Union(union), _) => self.union(writer, union, reader)?,
            (_, Base::Union(union)) => {
                let (index, name, value) = self.within_union(writer, reader, union)?;
                Node::Branch { index, name, nullable: is_nullable(union), null: null_of(union), value }
            }
            (Base::Record(written), Base::Record(read)) => return self.record(writer, written, reader, read),
            (Base::Null, Base::Null) => Node::Null,
            (Base::Boolean, Base::Boolean) => Node::Boolean,
            (Base::Number(written), Base::Number(read)) if promotes(written, read) => Node::Number { written, read },
            (Base::Bytes | Base::Text, Base::Text) => Node::Text,
            (Base::Bytes | Base::Text, Base::Bytes) => {
                same_decimal(writer.schema, reader.schema)?;
                Node::Bytes
            }
            (Base::Fixed(written), Base::Fixed(read))
                if written.size == read.size && same_fixed_name(written, read) =>
            {
                same_decimal(writer.schema, reader.schema)?;
                let decimal = matches!(writer.schema, Schema::Decimal(_));
                Node::Fixed { size: written.size, decimal }
            }
            (Base::Enum(written), Base::Enum(read)) if same_enum_name(written, read) => symbols(written, read)?,
            (Base::Array(written), Base::Array(read)) => {
                let items =
                    self.resolve(writer.part(written), reader.part(read)).map_err(|error| error.within("[]"))?;
                Node::Array { items, weightless: false }
            }
            (Base::Map(written), Base::Map(read)) => {
                let values =
                    self.resolve(writer.part(written), reader.part(read)).map_err(|error| error.within("{}"))?;
                Node::Map { values }
            }
            _ => return Err(mismatch(writer.schema, reader.schema)),
        };
        Ok(self.add(node))
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn record(
        &mut self,
        writer: Located<'_>,
        written: &RecordSchema,
        reader: Located<'_>,
        read: &RecordSchema,
    ) -> Result<NodeId, Mismatch> {
        let pair = (std::ptr::from_ref(written), std::ptr::from_ref(read));
        if let Some(&known) = self.records.get(&pair) {
            return Ok(known);
        }
        let aliased = read.aliases.iter().flatten().any(|alias| alias.name() == written.name.name());
        if written.name.name() != read.name.name() && !aliased {
            return Err(mismatch(writer.schema, reader.schema));
        }
        let id = self.add(Node::Unresolved);
        self.records.insert(pair, id);
        match self.fields(writer, written, reader, read) {
            Ok(record) => {
                self.nodes[id] = Node::Record(record);
                Ok(id)
            }
            Err(error) => {
                // What was resolved on the way may refer to this record: forget it all.
                self.nodes.truncate(id);
                self.records.retain(|_, known| *known < id);
                Err(error)
            }
        }
    }

    fn fields(
        &mut self,
        writer: Located<'_>,
        written: &RecordSchema,
        reader: Located<'_>,
        read: &RecordSchema,
    ) -> Result<Record, Mismatch> {
        self.step(read.fields.len())?;
        let sources = sources(written, read);
        let mut targets = vec![None; written.fields.len()];
        for (field, source) in read.fields.iter().zip(&sources) {
            if let Some(position) = source {
                targets[*position] = Some(field);
            }
        }
        let mut fields = Vec::with_capacity(written.fields.len());
        for (field, target) in written.fields.iter().zip(targets) {
            let value = writer.part(&field.schema);
            fields.push(match target {
                Some(target) => Field {
                    name: Some(target.name.as_str().into()),
                    value: self
                        .resolve(value, reader.part(&target.schema))
                        .map_err(|error| error.within(&target.name))?,
                },
                None => {
                    Field { name: None, value: self.resolve(value, value).map_err(|error| error.within(&field.name))? }
                }
            });
        }
        let mut defaults = Vec::new();
        for (field, source) in read.fields.iter().zip(&sources) {
            if source.is_none() {
                defaults.push(self.default(field, reader).map_err(|error| error.within(&field.name))?);
            }
        }
        let wraps_variant = read.fields.len() == 1
            && read.attributes.get("org.apache.avro.rust.union_of_records") == Some(&true.into());
        Ok(Record {
            name: read.name.name().into(),
            fields: fields.into(),
            defaults: defaults.into(),
            empty_values: 0,
            wraps_variant,
        })
    }

    fn default(&mut self, field: &RecordField, reader: Located<'_>) -> Result<DefaultField, Mismatch> {
        let Some(default) = &field.default else {
            return Err(Mismatch::new("it is not in what was written, and has no default"));
        };
        let schema = reader.part(&field.schema);
        let mut datum = Vec::new();
        json_datum::write(schema, default, &mut datum, &mut self.default_values)
            .map_err(|error| Mismatch::new(format!("its default does not fit its type: {error}")))?;
        Ok(DefaultField { name: field.name.as_str().into(), datum: datum.into(), value: self.resolve(schema, schema)? })
    }

    fn union(&mut self, writer: Located<'_>, union: &UnionSchema, reader: Located<'_>) -> Result<Node, Mismatch> {
        let mut branches = Vec::with_capacity(union.variants().len());
        let mut reason = None;
        for variant in union.variants() {
            let variant = writer.part(variant);
            let resolved = match base(reader.schema) {
                Base::Union(read) => {
                    self.within_union(variant, reader, read).map(|(index, name, value)| (Some((index, name)), value))
                }
                _ => self.resolve(variant, reader).map(|value| (None, value)),
            };
            let (read_as, value) = match resolved {
                Ok((read_as, value)) => (read_as, Ok(value)),
                Err(error) => {
                    let text = error.to_string().into();
                    reason.get_or_insert(error);
                    (None, Err(text))
                }
            };
            branches.push(match read_as {
                Some((index, name)) => Branch { name, read_as: Some(index), value },
                None => Branch { name: branch_name(variant.definition()?.schema).into(), read_as: None, value },
            });
        }
        match reason {
            Some(reason) if branches.iter().all(|branch| branch.value.is_err()) => Err(reason),
            _ => {
                let (nullable, null) = match base(reader.schema) {
                    Base::Union(read) => (is_nullable(read), null_of(read)),
                    _ => (true, None),
                };
                Ok(Node::Union { branches: branches.into(), nullable, null })
            }
        }
    }

    /// The branch of the reader's union that takes what was written: one of the same type, else the first that can.
    fn within_union(
        &mut self,
        writer: Located<'_>,
        reader: Located<'_>,
        union: &UnionSchema,
    ) -> Result<(u32, Box<str>, NodeId), Mismatch> {
        self.step(union.variants().len())?;
        let writer = writer.definition()?;
        let name = branch_name(writer.schema);
        let mut candidates = Vec::with_capacity(union.variants().len());
        for (index, variant) in (0_u32..).zip(union.variants()) {
            let variant = reader.part(variant).definition()?;
            candidates.push((branch_name(variant.schema), index, variant));
        }
        // Stable: branches of the same type first, then the others in the order of the schema.
        candidates.sort_by_key(|(candidate, ..)| *candidate != name);
        for (candidate, index, variant) in candidates {
            if let Ok(value) = self.resolve(writer, variant) {
                return Ok((index, candidate.into(), value));
            }
        }
        Err(mismatch(writer.schema, reader.schema))
    }

    /// Whether a value can be without a byte; where that is hard to tell, that it can.
    fn may_be_empty(&self, id: NodeId, depth: usize, known: &mut [Option<bool>]) -> bool {
        if let Some(known) = known[id] {
            return known;
        }
        if depth > MAX_EMPTY_DEPTH {
            return true;
        }
        // A record within itself has no end, and no bytes of its own either.
        known[id] = Some(true);
        let empty = match &self.nodes[id] {
            Node::Null | Node::Fixed { size: 0, .. } => true,
            Node::Branch { value, .. } => self.may_be_empty(*value, depth + 1, known),
            Node::Record(record) => record.fields.iter().all(|field| self.may_be_empty(field.value, depth + 1, known)),
            _ => false,
        };
        known[id] = Some(empty);
        empty
    }
}

/// Where the writer's record has each of the reader's fields: by its name, else by an alias. A written field is read once:
/// the name goes before aliases, and the first alias before others.
pub(in crate::schema) fn sources(written: &RecordSchema, read: &RecordSchema) -> Vec<Option<usize>> {
    let mut unclaimed: FxHashMap<&str, usize> =
        written.fields.iter().enumerate().map(|(position, field)| (field.name.as_str(), position)).collect();
    let mut sources: Vec<Option<usize>> =
        read.fields.iter().map(|field| unclaimed.remove(field.name.as_str())).collect();
    for (field, source) in read.fields.iter().zip(&mut sources) {
        if source.is_none() {
            *source = field.aliases.iter().find_map(|alias| unclaimed.remove(alias.as_str()));
        }
    }
    sources
}

/// A union of null and one other type.
fn is_nullable(union: &UnionSchema) -> bool {
    union.variants().len() == 2 && union.variants().iter().any(|variant| matches!(variant, Schema::Null))
}

/// Where null is in a union.
fn null_of(union: &UnionSchema) -> Option<u32> {
    (0_u32..).zip(union.variants()).find(|(_, variant)| matches!(variant, Schema::Null)).map(|(index, _)| index)
}

fn too_many_steps() -> Mismatch {
    Mismatch::new(format!("to bring the schemas together takes more than {MAX_STEPS} comparisons"))
}

/// Whether both count in the same unit, where both say in which.
pub(in crate::schema) fn same_unit(writer: &Schema, reader: &Schema) -> bool {
    match (unit(writer), unit(reader)) {
        (Some(written), Some(read)) => written == read,
        _ => true,
    }
}

/// The unit a number counts, where its logical type says so. Avro lets a reader take milliseconds for microseconds; we do not.
fn unit(schema: &Schema) -> Option<&'static str> {
    match schema {
        Schema::Date => Some("days"),
        Schema::TimeMillis | Schema::TimestampMillis | Schema::LocalTimestampMillis => Some("milliseconds"),
        Schema::TimeMicros | Schema::TimestampMicros | Schema::LocalTimestampMicros => Some("microseconds"),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Some("nanoseconds"),
        _ => None,
    }
}

pub(in crate::schema) fn promotes(written: Number, read: Number) -> bool {
    match written {
        Number::Int => true,
        Number::Long => read != Number::Int,
        Number::Float => matches!(read, Number::Float | Number::Double),
        Number::Double => read == Number::Double,
    }
}

pub(in crate::schema) fn same_decimal(writer: &Schema, reader: &Schema) -> Result<(), Mismatch> {
    match (writer, reader) {
        (Schema::Decimal(written), Schema::Decimal(read))
            if (written.precision, written.scale) != (read.precision, read.scale) =>
        {
            Err(mismatch(writer, reader))
        }
        _ => Ok(()),
    }
}

pub(in crate::schema) fn same_fixed_name(written: &FixedSchema, read: &FixedSchema) -> bool {
    written.name.name() == read.name.name()
        || read.aliases.iter().flatten().any(|alias| alias.name() == written.name.name())
}

pub(in crate::schema) fn same_enum_name(written: &EnumSchema, read: &EnumSchema) -> bool {
    written.name.name() == read.name.name()
        || read.aliases.iter().flatten().any(|alias| alias.name() == written.name.name())
}

fn symbols(written: &EnumSchema, read: &EnumSchema) -> Result<Node, Mismatch> {
    let symbols: FxHashSet<&String> = read.symbols.iter().collect();
    let known = |symbol: &String| {
        let symbol = if symbols.contains(symbol) { Some(symbol) } else { read.default.as_ref() };
        symbol.map(|symbol| Symbol::Known(symbol.as_str().into()))
    };
    let symbols: Box<[Symbol]> = written
        .symbols
        .iter()
        .map(|symbol| known(symbol).unwrap_or_else(|| Symbol::Unknown(symbol.as_str().into())))
        .collect();
    if symbols.iter().all(|symbol| matches!(symbol, Symbol::Unknown(_))) {
        return Err(Mismatch::new(format!("enum {} has none of the symbols that were written", read.name.name())));
    }
    Ok(Node::Enum { symbols })
}
