//! Compares the struct with its schema.

use quote::ToTokens as _;
use syn::ext::IdentExt as _;

use super::ast::{Event, Field, SchemaSource};
use super::expand::SchemaText;
use super::rust_types::{is_plain, mismatch, option_argument, too_large};
use super::schema::{self, Schema, last_part};
use super::{locate, payload_rules, schema_parse};
use crate::diagnostics::Diagnostics;
use crate::names;

/// Check everything; the schema, if one was found, and how to include it.
pub(crate) fn check(event: &Event<'_>, diagnostics: &mut Diagnostics) -> Option<(SchemaText, Schema)> {
    check_markers(event, diagnostics);
    let own_types = event.fields.iter().filter(|_| !event.serde.converted);
    for field in own_types.filter(|field| !field.serde.converted && !field.serde.unwritten) {
        check_rust_type(field, diagnostics);
    }
    let source = event.schema.as_ref()?;
    let (tokens, text, label) = load(source, diagnostics)?;
    let record = match schema_parse::parse(&text) {
        Ok(record) => record,
        Err(fault) => {
            let fault = schema_parse::describe(&label, &fault);
            diagnostics.error(source.literal(), format!("`{label}` is not the schema of a payload: {fault}"));
            return None;
        }
    };
    let schema = Schema { label, record };
    check_names(event, &schema, diagnostics);
    check_version(event, &schema, diagnostics);
    check_fields(event, &schema, diagnostics);
    Some((tokens, schema))
}

/// How to include the schema, its text and what to call it.
fn load(source: &SchemaSource, diagnostics: &mut Diagnostics) -> Option<(SchemaText, String, String)> {
    let literal = match source {
        SchemaSource::Inline(literal) => {
            return Some((SchemaText::Inline(literal.clone()), literal.value(), "schema_inline".to_owned()));
        }
        SchemaSource::File(literal) => literal,
    };
    let file = literal.value();
    let Some(path) = locate::find(&file, literal.span()) else {
        let message = format!(
            "cannot find the schema file `{file}`\n\
             note: looked beside this source file and in every folder above it, up to the workspace's root; then in the \
             package's folder and those above it\n\
             help: write the path relative to one of them, e.g. \"schemas/accounts/UserUpdated.avsc\""
        );
        diagnostics.error(literal, message);
        return None;
    };
    let (text, path) = match (std::fs::read_to_string(&path), path.to_str()) {
        (Ok(text), Some(path)) => (text, path.to_owned()),
        (Err(error), _) => {
            diagnostics.error(literal, format!("cannot read the schema file `{file}`: {error}"));
            return None;
        }
        (_, None) => {
            diagnostics.error(literal, format!("the path of `{file}` is not UTF-8, so it cannot be included"));
            return None;
        }
    };
    Some((SchemaText::File(path), text, file))
}

fn check_markers(event: &Event<'_>, diagnostics: &mut Diagnostics) {
    let keys: Vec<_> = event.fields.iter().filter_map(|field| field.key).collect();
    match keys.as_slice() {
        [] if !event.fields.is_empty() && !event.has_faulty_markers => {
            let message = format!(
                "`{}` has no key: events of one key, usually the user's id, stay in order\n\
                 help: mark one field with `#[event(key)]`",
                event.input.ident
            );
            diagnostics.error(&event.input.ident, message);
        }
        [] | [_] => {}
        [_, surplus @ ..] => {
            for marker in surplus {
                diagnostics.error(
                    marker,
                    "an event has one key, which decides its partition\n\
                     help: mark one field only; the id of the entity, if it is another field, is `#[event(entity_id)]`",
                );
            }
        }
    }
    for marker in event.fields.iter().filter_map(|field| field.entity_id).skip(1) {
        diagnostics
            .error(marker, "an event belongs to one entity\nhelp: mark one field only with `#[event(entity_id)]`");
    }
    for field in event.fields.iter().filter(|field| field.serde.unwritten) {
        if let Some(marker) = field.key.or(field.entity_id) {
            let message =
                format!("`{}` is not written, so nobody could read the key back\nhelp: do not skip it", field.ident);
            diagnostics.error(marker, message);
        }
    }
}

/// The schema may state the version too, for tools that see nothing else; then it is the same.
fn check_version(event: &Event<'_>, schema: &Schema, diagnostics: &mut Diagnostics) {
    let Some(stated) = schema.record.properties.get("tidings.version") else { return };
    let Some(literal) = &event.version else { return };
    let version = literal.value();
    if stated.as_str() != Some(version.as_str()) {
        let place = schema.quote(&schema.record.place);
        let message = format!(
            "the schema states the version {stated}, and the event is {version:?} here\n{place}\n\
             help: one of the two has changed: make them the same"
        );
        diagnostics.error(literal, message);
    }
}

/// The event, the record and serde's name of the struct go by one name.
fn check_names(event: &Event<'_>, schema: &Schema, diagnostics: &mut Diagnostics) {
    let record = &schema.record.full_name;
    let place = schema.quote(&schema.record.place);
    if let Some(literal) = &event.name {
        let name = literal.value();
        if name != *record {
            let (namespace, last) = names::split_event_name(&name);
            let message = format!(
                "the event is called `{name}`, but the record of its schema `{record}`; tools that see only one of them must \
                 find the other\n{place}\n\
                 help: in the schema, \"name\": \"{last}\", \"namespace\": \"{namespace}\""
            );
            diagnostics.error(literal, message);
            return;
        }
    }
    let record = last_part(record);
    let ident = &event.input.ident;
    let serde_name = event.serde.rename.as_ref().map_or_else(|| ident.unraw().to_string(), syn::LitStr::value);
    if serde_name != record && !event.serde.converted {
        let message = format!(
            "serde calls this struct `{serde_name}`, but the record of its schema is called `{record}`; the Avro codec goes by \
             the name\n{place}\n\
             help: `#[serde(rename = \"{record}\")]` on the struct, or call it `{record}`"
        );
        match &event.serde.rename {
            Some(literal) => diagnostics.error(literal, message),
            None => diagnostics.error(ident, message),
        }
    }
}

fn check_fields(event: &Event<'_>, schema: &Schema, diagnostics: &mut Diagnostics) {
    // A struct that is written as another type says nothing about the fields of that one.
    if event.serde.converted || event.fields.is_empty() {
        for field in &schema.record.fields {
            report_breaches(event, schema, field, None, diagnostics);
        }
        return;
    }
    for field in &schema.record.fields {
        let counterpart = event.fields.iter().find(|candidate| candidate.serde.name == field.name);
        report_breaches(event, schema, field, counterpart, diagnostics);
        match counterpart {
            Some(counterpart) => check_field(counterpart, field, schema, diagnostics),
            // A field that is only spelt otherwise is reported below, once.
            None if event.fields.iter().any(|candidate| is_alike(candidate, field)) => {}
            None => report_missing_field(event, schema, field, diagnostics),
        }
    }
    for field in event.fields.iter().filter(|field| !field.serde.unwritten) {
        if !schema.record.fields.iter().any(|candidate| candidate.name == field.serde.name) {
            match schema.record.fields.iter().find(|candidate| is_alike(field, candidate)) {
                Some(meant) => report_misspelt_field(field, meant, schema, diagnostics),
                None => report_unknown_field(field, schema, diagnostics),
            }
        }
    }
}

fn report_breaches(
    event: &Event<'_>,
    schema: &Schema,
    field: &schema::Field,
    counterpart: Option<&Field<'_>>,
    diagnostics: &mut Diagnostics,
) {
    let mut breaches = payload_rules::check(&field.shape, &field.place);
    breaches.extend(payload_rules::check_optional(&field.shape, field.default.as_ref(), &field.place));
    for breach in breaches {
        let (rule, help) = breach.message.split_once('\n').unwrap_or((&breach.message, ""));
        let message = format!("field `{}`: {rule}\n{}\n{help}", field.name, schema.quote(&breach.place));
        match (counterpart, &event.schema) {
            (Some(counterpart), _) => diagnostics.error(counterpart.ident, message),
            (None, Some(source)) => diagnostics.error(source.literal(), message),
            (None, None) => diagnostics.error(&event.input.ident, message),
        }
    }
}

fn report_missing_field(event: &Event<'_>, schema: &Schema, field: &schema::Field, diagnostics: &mut Diagnostics) {
    let message = format!(
        "`{}` lacks the field `{name}` of its schema\n{}\nhelp: add `{name}: {}`",
        event.input.ident,
        schema.quote(&field.place),
        field.shape.rust_type(),
        name = field.name,
    );
    diagnostics.error(&event.input.ident, message);
}

/// Whether the two differ in underscores and capitals only: in the Rust name or in serde's.
fn is_alike(field: &Field<'_>, counterpart: &schema::Field) -> bool {
    let bare = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let wanted = bare(&counterpart.name);
    bare(&field.serde.name) == wanted || bare(&field.ident.unraw().to_string()) == wanted
}

fn report_misspelt_field(field: &Field<'_>, meant: &schema::Field, schema: &Schema, diagnostics: &mut Diagnostics) {
    let message = format!(
        "serde calls this field `{}`, but the schema calls it `{meant}`\n{}\nhelp: `#[serde(rename = \"{meant}\")]`",
        field.serde.name,
        schema.quote(&meant.place),
        meant = meant.name,
    );
    diagnostics.error(field.ident, message);
}

fn report_unknown_field(field: &Field<'_>, schema: &Schema, diagnostics: &mut Diagnostics) {
    let known: Vec<_> = schema.record.fields.iter().map(|field| field.name.as_str()).collect();
    let message = format!(
        "the schema has no field `{}`\n{}:{}: its fields are {}\n\
         help: add it to the schema, give it the schema's name with `#[serde(rename = \"…\")]`, or leave it out with `#[serde(skip)]`",
        field.serde.name,
        schema.label,
        schema.record.place.line,
        known.join(", "),
    );
    diagnostics.error(field.ident, message);
}

fn check_field(field: &Field<'_>, counterpart: &schema::Field, schema: &Schema, diagnostics: &mut Diagnostics) {
    let place = schema.quote(&counterpart.place);
    if (field.serde.unwritten || field.serde.sometimes_unwritten) && counterpart.default.is_none() {
        let message = format!(
            "`{}` is not always written, but its schema has no default for it\n{place}\n\
             help: do not skip the field, or give it a default in the schema",
            field.ident
        );
        diagnostics.error(field.ident, message);
    }
    if field.serde.converted || field.serde.unwritten {
        return;
    }
    let optional = counterpart.shape.optional_branches().is_some();
    match option_argument(field.ty) {
        Some(inner) if !optional => {
            let message = format!(
                "`{}` is an `Option`, but its schema does not allow null\n{place}\n\
                 help: make it `{}` here, or \"type\": [\"null\", …], \"default\": null in the schema",
                field.ident,
                inner.to_token_stream(),
            );
            diagnostics.error(field.ty, message);
            return;
        }
        None if optional && is_plain(field.ty) => {
            let ty = field.ty.to_token_stream();
            let message = format!(
                "`{}` is optional in its schema, so it may be null, which `{ty}` cannot hold\n{place}\nhelp: {}",
                field.ident,
                match counterpart.shape.choices() {
                    Some(_) => counterpart.shape.suggestion(),
                    None => format!("`Option<{ty}>`"),
                }
            );
            diagnostics.error(field.ty, message);
            return;
        }
        _ => {}
    }
    // A number that is too large has an error of its own.
    if let Some((ty, shape)) = mismatch(field.ty, &counterpart.shape).filter(|(ty, _)| too_large(ty).is_empty()) {
        let (written, wanted) = (ty.to_token_stream().to_string().replace(' ', ""), shape.suggestion());
        let message = format!(
            "`{}` is `{written}` here, which is not written as its schema says\n{place}\n\
             help: {wanted}, or `#[serde(with = \"…\")]` for a function of your own",
            field.ident
        );
        diagnostics.error(ty, message);
    }
}

fn check_rust_type(field: &Field<'_>, diagnostics: &mut Diagnostics) {
    for found in too_large(field.ty) {
        let message = format!(
            "`{found}` does not fit Avro's `long`, which is a signed 64-bit number\n\
             help: `i64`, or \"string\" in the schema and `#[serde(with = \"…\")]` here"
        );
        diagnostics.error(found, message);
    }
}
