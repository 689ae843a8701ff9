//! Resolves a writer's schema against a reader's, by Avro's rules.

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, RecordField, RecordSchema, UnionSchema};
use rustc_hash::{FxHashMap, FxHashSet};

use super::base::{Base, base, branch_name, same_branch_name};
use super::mismatch::{Mismatch, mismatch};
use super::rules::{promotes, same_decimal, same_enum_name, same_fixed_name, same_unit, sources};
use super::{Bounds, Branch, DefaultField, Field, Located, Node, NodeId, Record, Symbol};

/// How deep the types of a schema may nest. Deeper values would not be read anyway.
const MAX_DEPTH: usize = 128;

/// How deep records nest that are looked at for one that could be without a byte. What is deeper cannot be read.
const MAX_EMPTY_DEPTH: usize = 64;

#[derive(Default)]
pub(super) struct Resolver {
    nodes: Vec<Node>,
    bounds: Bounds,
    /// Pairs of records seen before, by address: recursive types come back to them.
    records: FxHashMap<(*const RecordSchema, *const RecordSchema), NodeId>,
    /// Pairs of enums seen before, in the same way: their symbols are kept once. `None` where none of them is known.
    enums: FxHashMap<(*const EnumSchema, *const EnumSchema), Option<Arc<[Symbol]>>>,
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
        self.bounds.exceeded().map_or(root, Err)
    }

    /// A text that the plan keeps.
    fn keep(&mut self, text: &str) -> Result<Box<str>, Mismatch> {
        self.bounds.take_bytes(text.len()).map(|()| text.into())
    }

    fn resolve(&mut self, writer: Located<'_>, reader: Located<'_>) -> Result<NodeId, Mismatch> {
        self.bounds.step(1)?;
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
            (Base::Enum(written), Base::Enum(read)) if same_enum_name(written, read) => {
                Node::Enum { symbols: self.symbols(written, read)? }
            }
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
        self.bounds.step(read.fields.len())?;
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
                    name: Some(self.keep(&target.name)?),
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
            name: self.keep(read.name.name())?,
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
        let written = self.bounds.default(schema, default);
        if let Some(exceeded) = self.bounds.exceeded() {
            return Err(exceeded);
        }
        let datum = written.map_err(|error| Mismatch::new(format!("its default does not fit its type: {error}")))?;
        Ok(DefaultField { name: self.keep(&field.name)?, datum: datum.into(), value: self.resolve(schema, schema)? })
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
                    let text = self.keep(&error.to_string())?;
                    reason.get_or_insert(error);
                    (None, Err(text))
                }
            };
            branches.push(match read_as {
                Some((index, name)) => Branch { name, read_as: Some(index), value },
                None => Branch { name: self.keep(&branch_name(variant.definition()?.schema))?, read_as: None, value },
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
        self.bounds.step(union.variants().len())?;
        let writer = writer.definition()?;
        let mut candidates = Vec::with_capacity(union.variants().len());
        for (index, variant) in (0_u32..).zip(union.variants()) {
            candidates.push((index, reader.part(variant).definition()?));
        }
        // Stable: branches of the same type first, then the others in the order of the schema.
        candidates.sort_by_cached_key(|(_, candidate)| !same_branch_name(candidate.schema, writer.schema));
        for (index, variant) in candidates {
            if let Ok(value) = self.resolve(writer, variant) {
                return Ok((index, self.keep(&branch_name(variant.schema))?, value));
            }
        }
        Err(mismatch(writer.schema, reader.schema))
    }

    /// The writer's symbols, as the reader has them. Kept once for each pair of enums, however many places refer to them.
    fn symbols(&mut self, written: &EnumSchema, read: &EnumSchema) -> Result<Arc<[Symbol]>, Mismatch> {
        let pair = (std::ptr::from_ref(written), std::ptr::from_ref(read));
        let symbols = match self.enums.get(&pair) {
            Some(known) => known.clone(),
            None => {
                let symbols = self.compared(written, read)?;
                let known = symbols.iter().any(|symbol| matches!(symbol, Symbol::Known(_))).then(|| symbols.into());
                self.enums.insert(pair, known.clone());
                known
            }
        };
        symbols.ok_or_else(|| {
            Mismatch::new(format!("enum {} has none of the symbols that were written", read.name.name()))
        })
    }

    fn compared(&mut self, written: &EnumSchema, read: &EnumSchema) -> Result<Vec<Symbol>, Mismatch> {
        self.bounds.step_symbols(written.symbols.len(), read.symbols.len())?;
        let known: FxHashSet<&String> = read.symbols.iter().collect();
        let mut symbols = Vec::with_capacity(written.symbols.len());
        for symbol in &written.symbols {
            let read_as = if known.contains(symbol) { Some(symbol) } else { read.default.as_ref() };
            symbols.push(match read_as {
                Some(read_as) => Symbol::Known(self.keep(read_as)?),
                None => Symbol::Unknown(self.keep(symbol)?),
            });
        }
        Ok(symbols)
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

/// A union of null and one other type.
fn is_nullable(union: &UnionSchema) -> bool {
    union.variants().len() == 2 && union.variants().iter().any(|variant| matches!(variant, Schema::Null))
}

/// Where null is in a union.
fn null_of(union: &UnionSchema) -> Option<u32> {
    (0_u32..).zip(union.variants()).find(|(_, variant)| matches!(variant, Schema::Null)).map(|(index, _)| index)
}
