//! The annotated struct: its `#[entity(..)]` options and its fields.

use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitStr, Meta, Path, Token, Type, parse_quote};

use crate::attr::{self, OptionReader};
use crate::diagnostics::Diagnostics;

const OPTIONS: &[&str] = &["table", "version", "database", "delete", "crate"];
const FIELD_OPTIONS: &[&str] = &["key", "column", "columns"];
const COLUMNS_EXAMPLE: &str = "columns(guild, member = \"member_id\")";

/// An annotated struct.
pub(crate) struct Entity<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) table: Option<LitStr>,
    /// The column of the version, where it is not called so.
    pub(crate) version: Option<LitStr>,
    pub(crate) kind: Kind,
    pub(crate) delete: bool,
    /// The path to the `tidings` crate.
    pub(crate) krate: Path,
    pub(crate) fields: Vec<Field<'a>>,
    /// Whether a field's `#[entity(..)]` is faulty, so that it may have been meant as the key.
    pub(crate) has_faulty_markers: bool,
}

/// The kinds of database that the fields' types must fit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All that the crate is built for.
    All,
    MySql,
    Sqlite,
}

/// A field of the struct.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) key: Option<KeyMarker<'a>>,
    /// The column, where it is not called as the field is.
    pub(crate) column: Option<LitStr>,
    /// The columns of a key that is a struct.
    pub(crate) columns: Option<KeyColumns>,
}

/// What marks the field as the key.
pub(crate) struct KeyMarker<'a> {
    pub(crate) attribute: &'a Attribute,
    /// What entities are found by, where it is not the field's own type.
    pub(crate) borrowed: Option<Type>,
}

/// `columns(..)`
pub(crate) struct KeyColumns {
    pub(crate) option: Ident,
    pub(crate) columns: Vec<KeyColumn>,
}

/// A field of the key, and the column it is in.
pub(crate) struct KeyColumn {
    pub(crate) field: Ident,
    pub(crate) column: Option<LitStr>,
}

impl Field<'_> {
    /// The name of its column.
    pub(crate) fn column(&self) -> String {
        column_of(self.ident, self.column.as_ref())
    }
}

impl KeyColumn {
    /// The name of its column.
    pub(crate) fn column(&self) -> String {
        column_of(&self.field, self.column.as_ref())
    }
}

fn column_of(field: &Ident, column: Option<&LitStr>) -> String {
    column.map_or_else(|| field.unraw().to_string(), LitStr::value)
}

impl<'a> Entity<'a> {
    pub(crate) fn parse(input: &'a DeriveInput, diagnostics: &mut Diagnostics) -> Self {
        let mut entity = Self {
            input,
            table: None,
            version: None,
            kind: Kind::All,
            delete: false,
            krate: parse_quote!(::tidings),
            fields: Vec::new(),
            has_faulty_markers: false,
        };
        entity.read_options(diagnostics);
        entity.read_fields(diagnostics);
        entity
    }

    /// The field that is marked as the key, with what marks it.
    pub(crate) fn key(&self) -> Option<(&Field<'a>, &KeyMarker<'a>)> {
        self.fields.iter().find_map(|field| field.key.as_ref().map(|marker| (field, marker)))
    }

    /// The column of the version.
    pub(crate) fn version_column(&self) -> String {
        self.version.as_ref().map_or_else(|| "version".to_owned(), LitStr::value)
    }

    fn read_options(&mut self, diagnostics: &mut Diagnostics) {
        let mut reader = OptionReader::new("#[entity]", OPTIONS);
        for attribute in entity_attributes(&self.input.attrs) {
            read_list(attribute, &mut reader, diagnostics, |key, input, _| self.read_option(key, input));
        }
        let ident = &self.input.ident;
        let table = ident.to_string().to_lowercase();
        match entity_attributes(&self.input.attrs).next() {
            None => {
                let message = format!(
                    "`{ident}` needs an `#[entity(..)]` attribute\nhelp: `#[entity(table = \"{table}\")]`, and \
                     `#[entity(key)]` on a field"
                );
                diagnostics.error(ident, message);
            }
            Some(attribute) if !reader.has("table") => {
                let message = format!("`#[entity(..)]` of `{ident}` lacks `table`\nhelp: `table = \"{table}\"`");
                diagnostics.error(attribute, message);
            }
            Some(_) => {}
        }
    }

    fn read_option(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        if key == "table" {
            self.table = Some(attr::string(key, input, "table = \"account\"")?);
        } else if key == "version" {
            self.version = Some(attr::string(key, input, "version = \"row_version\"")?);
        } else if key == "database" {
            let known = [("mysql", Kind::MySql), ("sqlite", Kind::Sqlite)];
            self.kind = attr::choice(key, input, "kind of database", &known)?.0;
        } else if key == "delete" {
            self.delete = true;
        } else {
            self.krate = attr::path(key, input)?;
        }
        Ok(())
    }

    fn read_fields(&mut self, diagnostics: &mut Diagnostics) {
        let ident = &self.input.ident;
        if let Some(parameter) = self.input.generics.params.first() {
            let message = "an entity cannot be generic: it is the row of one table\n\
                           help: write a struct for each table";
            diagnostics.error(parameter, message);
        }
        let Data::Struct(data) = &self.input.data else {
            let message = "an entity is a struct with named fields: each is a column\n\
                           help: implement `Entity` by hand for anything else";
            diagnostics.error(ident, message);
            return;
        };
        let Fields::Named(fields) = &data.fields else {
            let message = format!(
                "an entity is a struct with named fields: each is a column\n\
                 help: `struct {ident} {{ #[entity(key)] id: i64, … }}`"
            );
            diagnostics.error(ident, message);
            return;
        };
        for field in &fields.named {
            let Some(ident) = &field.ident else { continue };
            let mut parsed = Field { ident, ty: &field.ty, key: None, column: None, columns: None };
            let errors = diagnostics.len();
            parsed.read_options(&field.attrs, diagnostics);
            self.has_faulty_markers |= diagnostics.len() > errors;
            self.fields.push(parsed);
        }
    }
}

impl<'a> Field<'a> {
    fn read_options(&mut self, attributes: &'a [Attribute], diagnostics: &mut Diagnostics) {
        let mut reader = OptionReader::new("#[entity]", FIELD_OPTIONS);
        for attribute in entity_attributes(attributes) {
            read_list(attribute, &mut reader, diagnostics, |key, input, diagnostics| {
                if key == "key" {
                    let borrowed = borrowed_key(key, input);
                    self.key = Some(KeyMarker { attribute, borrowed: None });
                    self.key = Some(KeyMarker { attribute, borrowed: borrowed? });
                } else if key == "column" {
                    self.column = Some(attr::string(key, input, "column = \"nick_name\"")?);
                } else {
                    self.columns = Some(key_columns(key, input, diagnostics)?);
                }
                Ok(())
            });
        }
    }
}

/// What follows `key`: nothing, or a type.
fn borrowed_key(key: &Ident, input: ParseStream<'_>) -> syn::Result<Option<Type>> {
    if !input.peek(Token![=]) {
        return Ok(None);
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let message = format!("`{key}` takes a type, without quotes\nhelp: `{key} = str`");
        return Err(syn::Error::new(input.span(), message));
    }
    input.parse::<Type>().map(Some)
}

fn key_columns(key: &Ident, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<KeyColumns> {
    let says_nothing = "`columns()` names no column\nhelp: name the fields of the key: `columns(guild, member)`";
    let list = attr::list(key, input, COLUMNS_EXAMPLE, says_nothing, diagnostics)?;
    let mut columns = Vec::new();
    while !list.is_empty() {
        let wrong = |error: syn::Error| {
            let message = format!("`columns` lists the fields of the key\nhelp: `{COLUMNS_EXAMPLE}`");
            syn::Error::new(error.span(), message)
        };
        let field = list.call(Ident::parse_any).map_err(wrong)?;
        let column = if list.peek(Token![=]) {
            Some(attr::string(&field, &list, &format!("{field} = \"{field}_id\""))?)
        } else {
            None
        };
        columns.push(KeyColumn { field, column });
        if !list.is_empty() {
            list.parse::<Token![,]>().map_err(wrong)?;
        }
    }
    Ok(KeyColumns { option: key.clone(), columns })
}

fn entity_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("entity"))
}

fn read_list(
    attribute: &Attribute,
    reader: &mut OptionReader,
    diagnostics: &mut Diagnostics,
    apply: impl FnMut(&Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) {
    let Meta::List(list) = &attribute.meta else {
        let message = "`#[entity]` takes a list: on the struct `#[entity(table = \"…\")]`, on a field `#[entity(key)]`";
        diagnostics.error(attribute, message);
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
