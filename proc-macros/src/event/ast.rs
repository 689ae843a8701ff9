//! The annotated struct: its `#[event(..)]` options and its fields.

use semver::Version;
use syn::parse::ParseStream;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitStr, Meta, Path, Token, parse_quote};

use super::serde_attributes::{ContainerNames, FieldNames};
use crate::attr::{self, OptionReader};
use crate::diagnostics::Diagnostics;
use crate::names;

const OPTIONS: &[&str] = &["name", "version", "schema", "schema_inline", "entity", "upcast_from", "debug", "crate"];

/// An annotated struct.
pub(crate) struct Event<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) schema: Option<SchemaSource>,
    pub(crate) entity: Option<LitStr>,
    /// The type of the version before.
    pub(crate) upcast_from: Option<Path>,
    pub(crate) debug: DebugOption,
    /// The path to the `tidings` crate.
    pub(crate) krate: Path,
    pub(crate) serde: ContainerNames,
    pub(crate) fields: Vec<Field<'a>>,
    /// Whether a field's `#[event(..)]` is faulty, so that it may have been meant as the key.
    pub(crate) has_faulty_markers: bool,
}

/// Who writes `Debug`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DebugOption {
    /// Nobody, where the schema marks something as sensitive.
    Unsaid,
    /// The macro, without what is marked.
    Masked,
    /// Somebody who knows what is marked.
    Own,
}

/// Where the schema is.
pub(crate) enum SchemaSource {
    File(LitStr),
    Inline(LitStr),
}

impl SchemaSource {
    pub(crate) fn literal(&self) -> &LitStr {
        match self {
            Self::File(literal) | Self::Inline(literal) => literal,
        }
    }
}

/// A field of the struct.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a syn::Type,
    pub(crate) serde: FieldNames,
    /// What marks the field as the key.
    pub(crate) key: Option<&'a Attribute>,
    /// What marks the field as the entity's id.
    pub(crate) entity_id: Option<&'a Attribute>,
}

impl<'a> Event<'a> {
    pub(crate) fn parse(input: &'a DeriveInput, diagnostics: &mut Diagnostics) -> Self {
        let mut event = Self {
            input,
            name: None,
            version: None,
            schema: None,
            entity: None,
            upcast_from: None,
            debug: DebugOption::Unsaid,
            krate: parse_quote!(::tidings),
            serde: ContainerNames::parse(&input.attrs, diagnostics),
            fields: Vec::new(),
            has_faulty_markers: false,
        };
        event.read_options(diagnostics);
        event.read_fields(diagnostics);
        event
    }

    fn read_options(&mut self, diagnostics: &mut Diagnostics) {
        let mut reader = OptionReader::new("#[event]", OPTIONS);
        for attribute in event_attributes(&self.input.attrs) {
            read_list(attribute, &mut reader, diagnostics, |key, input, diagnostics| {
                self.read_option(key, input, diagnostics)
            });
        }
        let ident = &self.input.ident;
        let Some(attribute) = event_attributes(&self.input.attrs).next() else {
            let message = format!(
                "`{ident}` needs an `#[event(..)]` attribute\n\
                 help: `#[event(name = \"accounts.{ident}\", version = \"1.0.0\", schema = \"schemas/accounts/{ident}.avsc\")]`"
            );
            diagnostics.error(ident, message);
            return;
        };
        for (key, example) in [("name", "accounts"), ("version", "1.0.0"), ("schema", "schemas/accounts")] {
            if !(reader.has(key) || key == "schema" && reader.has("schema_inline")) {
                let value = match key {
                    "name" => format!("{example}.{ident}"),
                    "schema" => format!("{example}/{ident}.avsc"),
                    _ => example.to_owned(),
                };
                diagnostics.error(
                    attribute,
                    format!("`#[event(..)]` of `{ident}` lacks `{key}`\nhelp: `{key} = \"{value}\"`"),
                );
            }
        }
    }

    fn read_option(&mut self, key: &Ident, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        if key == "name" {
            let literal = attr::string(key, input, "name = \"accounts.UserUpdated\"")?;
            match names::check_event_name(&literal.value()) {
                Ok(()) => self.name = Some(literal),
                Err(message) => diagnostics.error(literal, message),
            }
        } else if key == "version" {
            let literal = attr::string(key, input, "version = \"1.3.0\"")?;
            match literal.value().parse::<Version>() {
                Ok(_) => self.version = Some(literal),
                Err(error) => diagnostics.error(
                    &literal,
                    format!(
                        "invalid version {:?}: {error}\nhelp: a semantic version of the payload, e.g. \"1.3.0\"",
                        literal.value()
                    ),
                ),
            }
        } else if key == "entity" {
            let literal = attr::string(key, input, "entity = \"Account\"")?;
            match check_entity(&literal.value()) {
                Ok(()) => self.entity = Some(literal),
                Err(message) => diagnostics.error(literal, message),
            }
        } else if key == "upcast_from" {
            self.upcast_from = Some(attr::path_to(key, input, "upcast_from = UserUpdatedV1")?);
        } else if key == "debug" {
            self.debug = if input.peek(Token![=]) {
                attr::choice(key, input, "kind of `Debug`", &[("own", DebugOption::Own)])?.0
            } else {
                DebugOption::Masked
            };
        } else if key == "crate" {
            self.krate = attr::path(key, input)?;
        } else {
            let source = if key == "schema" {
                SchemaSource::File(attr::string(key, input, "schema = \"schemas/accounts/UserUpdated.avsc\"")?)
            } else {
                SchemaSource::Inline(attr::string(key, input, "schema_inline = r#\"{\"type\": \"record\", …}\"#")?)
            };
            if self.schema.is_some() {
                let message = "`schema` names a file and `schema_inline` holds the schema itself: give one of them";
                return Err(syn::Error::new(key.span(), message));
            }
            self.schema = Some(source);
        }
        Ok(())
    }

    fn read_fields(&mut self, diagnostics: &mut Diagnostics) {
        let ident = &self.input.ident;
        if let Some(parameter) = self.input.generics.params.first() {
            let message = "an event cannot be generic: one name has one schema\n\
                           help: write a struct for each event";
            diagnostics.error(parameter, message);
        }
        let fields = match &self.input.data {
            Data::Struct(data) => &data.fields,
            Data::Enum(_) | Data::Union(_) => {
                let message = "an event is a struct with named fields, because the payload is an Avro record\n\
                               help: write a struct for each event; an enum can be the type of a field";
                diagnostics.error(ident, message);
                return;
            }
        };
        let Fields::Named(fields) = fields else {
            let message = format!(
                "an event is a struct with named fields, because the payload is an Avro record\n\
                 help: `struct {ident} {{ #[event(key)] user_id: i64, … }}`"
            );
            diagnostics.error(ident, message);
            return;
        };
        for field in &fields.named {
            let Some(ident) = &field.ident else { continue };
            let serde = FieldNames::parse(ident, &field.attrs, &self.serde, diagnostics);
            let mut parsed = Field { ident, ty: &field.ty, serde, key: None, entity_id: None };
            let errors = diagnostics.len();
            parsed.read_markers(&field.attrs, diagnostics);
            self.has_faulty_markers |= diagnostics.len() > errors;
            self.fields.push(parsed);
        }
        if self.fields.is_empty() {
            let message = "an event needs a key, so it has at least one field\nhelp: `#[event(key)] user_id: i64`";
            diagnostics.error(ident, message);
        }
    }
}

impl<'a> Field<'a> {
    fn read_markers(&mut self, attributes: &'a [Attribute], diagnostics: &mut Diagnostics) {
        let mut reader = OptionReader::new("#[event]", &["key", "entity_id"]);
        for attribute in event_attributes(attributes) {
            read_list(attribute, &mut reader, diagnostics, |key, _, _| {
                let marker = if key == "key" { &mut self.key } else { &mut self.entity_id };
                *marker = Some(attribute);
                Ok(())
            });
        }
    }
}

fn event_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("event"))
}

fn read_list(
    attribute: &Attribute,
    reader: &mut OptionReader,
    diagnostics: &mut Diagnostics,
    apply: impl FnMut(&Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) {
    let Meta::List(list) = &attribute.meta else {
        diagnostics.error(
            attribute,
            "`#[event]` takes a list: on the struct `#[event(name = \"…\", …)]`, on a field `#[event(key)]`",
        );
        return;
    };
    let parser = |input: ParseStream<'_>| {
        reader.read(input, diagnostics, apply);
        Ok(())
    };
    if let Err(error) = syn::parse::Parser::parse2(parser, list.tokens.clone()) {
        diagnostics.push(error);
    }
}

/// A stream is named `entity/id` and splits at its first slash.
fn check_entity(name: &str) -> Result<(), String> {
    if name.is_empty()
        || name.contains('/')
        || name.chars().any(|character| character.is_whitespace() || character.is_control())
    {
        return Err(format!(
            "{name:?} cannot be an entity: streams are called `entity/id`, so it is not empty and has no slash or space\n\
             help: `entity = \"Account\"`"
        ));
    }
    Ok(())
}
