//! What serde's attributes say about the names and the presence of fields.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Ident, LitStr, Token, ext::IdentExt as _, token};

use crate::diagnostics::Diagnostics;

/// What serde's attributes on the struct say.
#[derive(Default)]
pub(crate) struct ContainerNames {
    /// `rename = "…"`: the name serde gives to the struct.
    pub(crate) rename: Option<LitStr>,
    rename_all: Option<LitStr>,
    /// The struct is written and read as another type, whose fields are unknown here.
    pub(crate) converted: bool,
}

/// What serde's attributes on a field say.
pub(crate) struct FieldNames {
    /// The name in the payload.
    pub(crate) name: String,
    /// The field is not written: `skip`, `skip_serializing`.
    pub(crate) unwritten: bool,
    /// The field is sometimes not written: `skip_serializing_if`.
    pub(crate) sometimes_unwritten: bool,
    /// The field is written or read by a function, so its Rust type says nothing.
    pub(crate) converted: bool,
}

impl ContainerNames {
    pub(crate) fn parse(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Self {
        let mut names = Self::default();
        for_each(attributes, |meta| {
            if meta.path.is_ident("rename") {
                names.rename = one_name(meta, diagnostics)?;
            } else if meta.path.is_ident("rename_all") {
                names.rename_all = one_name(meta, diagnostics)?;
            } else if ["from", "try_from", "into", "remote"].iter().any(|key| meta.path.is_ident(key)) {
                names.converted = true;
                skip_value(meta)?;
            } else if ["transparent", "tag", "untagged"].iter().any(|key| meta.path.is_ident(key)) {
                let message = "the payload is an Avro record with the struct's own fields, which this attribute changes\n\
                               help: remove it";
                diagnostics.error(&meta.path, message);
                skip_value(meta)?;
            } else {
                skip_value(meta)?;
            }
            Ok(())
        });
        names
    }
}

impl FieldNames {
    pub(crate) fn parse(
        ident: &Ident,
        attributes: &[Attribute],
        container: &ContainerNames,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let plain = ident.unraw().to_string();
        let mut rename = None;
        let mut names = Self { name: String::new(), unwritten: false, sometimes_unwritten: false, converted: false };
        for_each(attributes, |meta| {
            if meta.path.is_ident("rename") {
                rename = one_name(meta, diagnostics)?;
                return Ok(());
            }
            if meta.path.is_ident("flatten") {
                let message = "an Avro record has a fixed list of fields, so none can be flattened into it\n\
                               help: write the fields out, or make this a record of its own";
                diagnostics.error(&meta.path, message);
            } else if meta.path.is_ident("skip") || meta.path.is_ident("skip_serializing") {
                names.unwritten = true;
            } else if meta.path.is_ident("skip_serializing_if") {
                names.sometimes_unwritten = true;
            } else if ["with", "serialize_with", "deserialize_with"].iter().any(|key| meta.path.is_ident(key)) {
                names.converted = true;
            }
            skip_value(meta)
        });
        names.name = match (rename, &container.rename_all) {
            (Some(rename), _) => rename.value(),
            (None, Some(rule)) => apply_rule(&rule.value(), &plain),
            (None, None) => plain,
        };
        names
    }
}

/// Visit serde's attributes. What cannot be read is serde's to report.
fn for_each(attributes: &[Attribute], mut visit: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| visit(&meta));
    }
}

/// `key = "name"` or `key(serialize = "name", deserialize = "name")`, where both must be the same.
fn one_name(meta: &ParseNestedMeta<'_>, diagnostics: &mut Diagnostics) -> syn::Result<Option<LitStr>> {
    if !meta.input.peek(token::Paren) {
        return meta.value()?.parse().map(Some);
    }
    let mut found: Vec<LitStr> = Vec::new();
    meta.parse_nested_meta(|inner| {
        found.push(inner.value()?.parse()?);
        Ok(())
    })?;
    if let [first, second] = found.as_slice()
        && first.value() == second.value()
    {
        return Ok(Some(first.clone()));
    }
    let message = "a payload is written and read under the same names\nhelp: give one name for both directions";
    diagnostics.error(&meta.path, message);
    Ok(found.into_iter().next())
}

fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(Token![=]) {
        let _: syn::Expr = meta.value()?.parse()?;
    } else if meta.input.peek(token::Paren) {
        let inner;
        syn::parenthesized!(inner in meta.input);
        let _: proc_macro2::TokenStream = inner.parse()?;
    }
    Ok(())
}

/// serde's `rename_all` rules for fields, which are written in snake case. An unknown rule is serde's to report.
fn apply_rule(rule: &str, field: &str) -> String {
    let capitalised = || field.split('_').map(capitalise).collect::<String>();
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => field.to_ascii_uppercase(),
        "PascalCase" => capitalised(),
        "camelCase" => {
            let pascal = capitalised();
            let first = pascal.chars().next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(pascal.chars().skip(1)).collect()
        }
        "kebab-case" => field.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => field.to_ascii_uppercase().replace('_', "-"),
        _ => field.to_owned(),
    }
}

fn capitalise(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn name_under(rule: &str) -> String {
        let container: syn::DeriveInput = parse_quote!(
            #[serde(rename_all = #rule, deny_unknown_fields)]
            struct A;
        );
        let mut diagnostics = Diagnostics::new();
        let container = ContainerNames::parse(&container.attrs, &mut diagnostics);
        FieldNames::parse(&parse_quote!(user_id), &[], &container, &mut diagnostics).name
    }

    #[test]
    fn every_rule_renames_as_serde_does() {
        for (rule, name) in [
            ("lowercase", "user_id"),
            ("UPPERCASE", "USER_ID"),
            ("PascalCase", "UserId"),
            ("camelCase", "userId"),
            ("snake_case", "user_id"),
            ("SCREAMING_SNAKE_CASE", "USER_ID"),
            ("kebab-case", "user-id"),
            ("SCREAMING-KEBAB-CASE", "USER-ID"),
        ] {
            assert_eq!(name_under(rule), name);
        }
    }

    #[test]
    fn a_field_keeps_its_own_name_over_the_rule_of_the_struct() {
        let field: syn::Field =
            parse_quote!(#[serde(default = "d", rename(serialize = "id", deserialize = "id"))] user_id: i64);
        let container = ContainerNames { rename_all: Some(parse_quote!("camelCase")), ..ContainerNames::default() };
        let mut diagnostics = Diagnostics::new();
        let names = FieldNames::parse(field.ident.as_ref().unwrap(), &field.attrs, &container, &mut diagnostics);
        assert_eq!((names.name.as_str(), diagnostics.is_empty()), ("id", true));
    }

    #[test]
    fn two_names_for_one_field_are_refused() {
        let field: syn::Field = parse_quote!(#[serde(rename(deserialize = "id"))] user_id: i64);
        let mut diagnostics = Diagnostics::new();
        FieldNames::parse(field.ident.as_ref().unwrap(), &field.attrs, &ContainerNames::default(), &mut diagnostics);
        assert_eq!(diagnostics.messages().len(), 1);
    }
}
