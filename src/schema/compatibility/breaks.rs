//! What of a writer's payloads a reader cannot read.

use std::fmt;
use std::ops::Range;

use super::places;
use super::walk::Walk;
use crate::schema::SchemaError;
use crate::schema::contract::Contract;

/// Who reads whose payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The newer version reads what the older one wrote.
    Backward,
    /// The older version reads what the newer one writes.
    Forward,
}

/// Which rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The reader's field is not written, and has no default.
    NoDefault {
        /// Fields that are written and that the reader has not: one of them may be this one under its former name.
        unread: Vec<String>,
    },
    /// What is written cannot be read as what the reader has.
    Type {
        /// What is written, such as `long`.
        written: String,
        /// What the reader has.
        read: String,
    },
    /// A branch of the writer's union cannot be read.
    Branch {
        /// The branch, such as `null`.
        written: String,
        /// What the reader has.
        read: String,
    },
    /// The writer's enum has symbols that the reader's has not, and the reader's has no default.
    Symbols {
        /// These.
        unknown: Vec<String>,
        /// The enum's name.
        name: String,
    },
    /// The types go by other names, and the reader's has no alias.
    Name {
        /// The writer's.
        written: String,
        /// The reader's.
        read: String,
    },
    /// The reader's default does not fit its type.
    Default {
        /// Why.
        reason: String,
    },
    /// It nests too deep, names what is not defined, or takes more than a plan for reading it may take.
    Structure {
        /// Which.
        reason: String,
    },
}

/// Something a writer writes and a reader cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Break {
    /// The field, as in `home.street` or `tags[]`; empty where it is about the record itself.
    pub field: String,
    /// The rule.
    pub rule: Rule,
    /// Where in the writer's text: the field, or what comes closest. In bytes.
    pub written_at: Range<usize>,
    /// Where in the reader's text.
    pub read_at: Range<usize>,
}

impl Break {
    /// What to change, where the two are versions of one event.
    pub fn fix(&self, direction: Direction) -> String {
        let field = if self.field.is_empty() { "the record" } else { &format!("`{}`", self.field) };
        match (&self.rule, direction) {
            (Rule::NoDefault { unread }, Direction::Backward) => match unread.as_slice() {
                [] => format!("give {field} a default"),
                [name] => format!("give {field} a default, or, if it was called `{name}`, \"aliases\": [\"{name}\"]"),
                names => {
                    format!(
                        "give {field} a default, or, if it is one of {} renamed, that name as an alias",
                        names.join(", ")
                    )
                }
            },
            (Rule::NoDefault { .. }, Direction::Forward) => {
                format!(
                    "keep {field}: older handlers need it. Take it away with a new major version, or once they have a default for it"
                )
            }
            (Rule::Type { written, read }, _) => {
                let (old, new) = if direction == Direction::Backward { (written, read) } else { (read, written) };
                format!("keep {old}, and add a field of another name, with a default, for {new}")
            }
            (Rule::Branch { written, .. }, Direction::Backward) => {
                format!("keep {written} among the types of {field}: it is on the topic")
            }
            (Rule::Branch { written, .. }, Direction::Forward) => {
                format!("leave {written} out of the types of {field}, and add a field of another name for it")
            }
            (Rule::Symbols { unknown, .. }, Direction::Backward) => {
                format!("keep {}, or give the enum a \"default\"", unknown.join(", "))
            }
            (Rule::Symbols { unknown, name }, Direction::Forward) => format!(
                "give the enum {name} a \"default\" first, in a version of its own, and add {} when every handler has it",
                unknown.join(", ")
            ),
            (Rule::Name { written, .. }, Direction::Backward) => {
                format!("\"aliases\": [\"{written}\"] beside the new name")
            }
            (Rule::Name { read, .. }, Direction::Forward) => format!("keep the name {read}"),
            (Rule::Default { .. }, _) => format!("correct the default of {field}"),
            (Rule::Structure { .. }, _) => "make the schema smaller and flatter, and define what it names".to_owned(),
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(formatter, "field `{}`: ", self.field)?;
        }
        self.rule.fmt(formatter)
    }
}

impl Rule {
    /// About how many bytes it keeps of what a schema can have any number of.
    pub(super) fn size(&self) -> usize {
        let total = |names: &[String]| names.iter().map(String::len).sum();
        match self {
            Self::NoDefault { unread } => total(unread),
            Self::Symbols { unknown, .. } => total(unknown),
            Self::Default { reason } | Self::Structure { reason } => reason.len(),
            Self::Type { written, read } | Self::Branch { written, read } | Self::Name { written, read } => {
                written.len() + read.len()
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDefault { .. } => formatter.write_str("it is not in what was written, and has no default"),
            Self::Type { written, read } => {
                write!(formatter, "it was written as {written} and cannot be read as {read}")
            }
            Self::Branch { written, read } => {
                write!(formatter, "it may be written as {written}, which cannot be read as {read}")
            }
            Self::Symbols { unknown, name } => write!(
                formatter,
                "{} may be written, which the enum {name} has not; and it has no default",
                unknown.join(", ")
            ),
            Self::Name { written, read } => {
                write!(formatter, "it was written as {written} and is read as {read}, which has no such alias")
            }
            Self::Default { reason } => write!(formatter, "its default does not fit its type: {reason}"),
            Self::Structure { reason } => formatter.write_str(reason),
        }
    }
}

/// What of the payloads written with `writer` a reader of `reader` cannot read; nothing where it can read all of them. Of more than a
/// hundred breaks it is a hundred.
///
/// # Errors
/// One of the two is no schema of a record.
pub fn breaks(writer: &str, reader: &str) -> Result<Vec<Break>, SchemaError> {
    Ok(between(&Contract::parse(writer)?, &Contract::parse(reader)?))
}

/// The same, of schemas that were read already.
pub(crate) fn between(writer: &Contract, reader: &Contract) -> Vec<Break> {
    let place = |contract: &Contract, path: &[_]| places::find(contract.text(), path);
    Walk::of(writer, reader)
        .into_iter()
        .map(|found| Break {
            field: found.read.to_string(),
            written_at: place(writer, &found.written.0),
            read_at: place(reader, &found.read.0),
            rule: found.rule,
        })
        .collect()
}
