//! Checks the names of the table and its columns, and that there is one key.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::LitStr;

use super::ast::{Entity, Field};
use crate::diagnostics::Diagnostics;

/// The longest name of a table or a column that MySQL takes, in characters.
const LONGEST_NAME: usize = 64;

pub(crate) fn check(entity: &Entity<'_>, diagnostics: &mut Diagnostics) {
    if let Some(table) = &entity.table {
        let name = table.value();
        let parts: Vec<_> = name.split('.').collect();
        let fault = if parts.len() > 2 {
            Some("it has more than one dot".to_owned())
        } else {
            parts.iter().find_map(|part| fault(part))
        };
        if let Some(fault) = fault {
            let message = format!(
                "{name:?} cannot be a table: {fault}\nhelp: `table = \"account\"`, or `table = \"shop.account\"` for one \
                 of another database"
            );
            diagnostics.error(table, message);
        }
    }
    if let Some(version) = &entity.version {
        check_column(version, diagnostics);
    }
    check_key(entity, diagnostics);
    for field in &entity.fields {
        check_field(field, diagnostics);
    }
    check_duplicates(entity, diagnostics);
}

fn check_key(entity: &Entity<'_>, diagnostics: &mut Diagnostics) {
    let keys: Vec<_> = entity.fields.iter().filter_map(|field| field.key.as_ref()).collect();
    match keys.as_slice() {
        [] if !entity.has_faulty_markers && is_struct_with_names(entity) => {
            let message = format!(
                "`{}` has no key, which it is found by\nhelp: mark the field of the primary key with `#[entity(key)]`",
                entity.input.ident
            );
            diagnostics.error(&entity.input.ident, message);
        }
        [] | [_] => {}
        [_, surplus @ ..] => {
            for marker in surplus {
                let message = "an entity has one key\n\
                               help: one of several columns is a struct of its own: \
                               `#[entity(key, columns(guild, member))] id: MembershipId`";
                diagnostics.error(marker.attribute, message);
            }
        }
    }
}

fn is_struct_with_names(entity: &Entity<'_>) -> bool {
    matches!(&entity.input.data, syn::Data::Struct(data) if matches!(data.fields, syn::Fields::Named(_)))
}

fn check_field(field: &Field<'_>, diagnostics: &mut Diagnostics) {
    if let Some(column) = &field.column {
        check_column(column, diagnostics);
    }
    let Some(columns) = &field.columns else { return };
    if field.key.is_none() {
        let message = "`columns` is for the key; any other field is one column\nhelp: `#[entity(column = \"…\")]`";
        diagnostics.error(&columns.option, message);
    } else if field.column.is_some() {
        diagnostics.error(&columns.option, "`column` names one column and `columns` several: give one of them");
    } else if let Some(borrowed) = field.key.as_ref().and_then(|key| key.borrowed.as_ref()) {
        let message = "a key of several columns is found by the field's own type\nhelp: `#[entity(key, columns(..))]`";
        diagnostics.error(borrowed, message);
    }
    for column in columns.columns.iter().filter_map(|column| column.column.as_ref()) {
        check_column(column, diagnostics);
    }
}

fn check_column(column: &LitStr, diagnostics: &mut Diagnostics) {
    let name = column.value();
    let fault = fault(&name).or_else(|| name.contains('.').then(|| "it has a dot".to_owned()));
    if let Some(fault) = fault {
        diagnostics.error(column, format!("{name:?} cannot be a column: {fault}\nhelp: write its plain name"));
    }
}

/// Why a name cannot be quoted.
fn fault(name: &str) -> Option<String> {
    let characters = name.chars().count();
    if name.is_empty() {
        Some("it is empty".to_owned())
    } else if name.contains('`') {
        Some("it holds a backquote, which quotes it".to_owned())
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character".to_owned())
    } else if name.ends_with(' ') {
        Some("it ends with a space".to_owned())
    } else {
        (characters > LONGEST_NAME).then(|| format!("it has {characters} characters and {LONGEST_NAME} fit"))
    }
}

/// No two fields share a column, and none takes the version's.
fn check_duplicates(entity: &Entity<'_>, diagnostics: &mut Diagnostics) {
    let version = entity.version_column();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut check = |column: String, owner: String, tokens: &dyn ToTokens| {
        // Databases compare the names of columns without regard to capitals.
        let bare = column.to_lowercase();
        if bare == version.to_lowercase() {
            let message = format!(
                "the column `{version}` is the version's, which the framework keeps\nhelp: leave the field out, or keep \
                 the version in another column: `#[entity(version = \"row_version\")]`"
            );
            diagnostics.error(tokens.to_token_stream(), message);
        } else if let Some(first) = seen.insert(bare, owner) {
            let message = format!("the column `{column}` is the field `{first}`'s already\nhelp: `column = \"…\"`");
            diagnostics.error(tokens.to_token_stream(), message);
        }
    };
    for field in &entity.fields {
        match &field.columns {
            Some(columns) => {
                for column in &columns.columns {
                    check(column.column(), column.field.to_string(), &column.field);
                }
            }
            None => check(field.column(), field.ident.to_string(), field.ident),
        }
    }
}
