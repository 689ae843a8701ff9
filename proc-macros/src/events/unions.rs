//! Enums for unions of more than null and one type.
//!
//! Avro gives a union no name: the enum has that of the record and the field it is in. Its variants are the branches besides null
//! in their order, which is how a payload tells them apart; each has the name of its branch.

use proc_macro2::TokenStream;
use quote::quote;

use super::identifiers::{identifier, upper_camel_case};
use super::types::{Surroundings, rust_type};
use crate::event::schema::{Shape, last_part};

/// An enum, about to be written.
pub(super) struct UnionEnum<'s> {
    pub(super) name: String,
    branches: Vec<&'s Shape>,
}

/// What the union in a field is called.
pub(super) fn name_of(record: &str, field: &str) -> String {
    format!("{}{}", last_part(record), upper_camel_case(field))
}

/// The enums of a field whose own union, if it has one, is called `name`: those within its branches too.
pub(super) fn enums_of<'s>(shape: &'s Shape, name: &str, enums: &mut Vec<UnionEnum<'s>>) {
    match shape {
        Shape::Array(part) | Shape::Map(part) => enums_of(part, name, enums),
        Shape::Union(branches) => {
            let others: Vec<&Shape> = branches.iter().filter(|branch| !branch.is_null()).collect();
            let is_enum = others.len() > 1 || others.len() == branches.len() && !others.is_empty();
            for branch in &others {
                let within = if is_enum { within(branch, name) } else { name.to_owned() };
                enums_of(branch, &within, enums);
            }
            if is_enum {
                enums.push(UnionEnum { name: name.to_owned(), branches: others });
            }
        }
        // The fields of a record name their own.
        _ => {}
    }
}

/// What a union within a branch is called.
fn within(branch: &Shape, name: &str) -> String {
    format!("{name}{}", upper_camel_case(last_part(branch.branch_name())))
}

impl UnionEnum<'_> {
    /// The enum; its name is `at`'s.
    pub(super) fn tokens(&self, doc: &str, at: &Surroundings<'_>) -> Result<TokenStream, String> {
        let names = self.variant_names()?;
        let mut variants = TokenStream::new();
        for (branch, name) in self.branches.iter().zip(&names) {
            if matches!(branch, Shape::Union(_)) {
                return Err("a union holds no union\nhelp: its branches among the others".to_owned());
            }
            let within = within(branch, &self.name);
            let ty = rust_type(branch, &Surroundings { union_name: &within, ..*at })?;
            let variant = identifier(name, at.span);
            let full_name = branch.branch_name();
            let doc = format!("`{full_name}`.");
            variants.extend(quote! {
                #[doc = #doc]
                #[serde(rename = #full_name)]
                #variant(#ty),
            });
        }
        let name = &self.name;
        let ident = identifier(name, at.span);
        let krate = at.krate;
        let serde = quote!(#krate::__private::serde);
        let serde_path = serde.to_string().replace(' ', "");
        Ok(quote! {
            #[doc = #doc]
            #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq, #serde::Serialize, #serde::Deserialize)]
            #[serde(crate = #serde_path, rename = #name)]
            #[allow(non_camel_case_types, clippy::derive_partial_eq_without_eq, reason = "named and made as the schema says")]
            pub enum #ident {
                #variants
            }
        })
    }

    /// The last part of each branch's name; all of it where the last part is another's too.
    fn variant_names(&self) -> Result<Vec<String>, String> {
        let full_names: Vec<&str> = self.branches.iter().map(|branch| branch.branch_name()).collect();
        let short: Vec<String> = full_names.iter().map(|name| upper_camel_case(last_part(name))).collect();
        let mut names: Vec<String> = Vec::new();
        for (full_name, short_name) in full_names.iter().zip(&short) {
            if full_names.iter().filter(|other| *other == full_name).count() > 1 {
                return Err(format!(
                    "the union has more than one branch `{full_name}`, and a payload says only that it is one\n\
                     help: a logical type is no branch of its own; leave one out"
                ));
            }
            let is_alone = short.iter().filter(|other| *other == short_name).count() == 1;
            let name = if is_alone { short_name.clone() } else { upper_camel_case(&full_name.replace('.', "_")) };
            if names.contains(&name) {
                return Err(format!("two branches of the union are `{name}` in Rust\nhelp: rename one"));
            }
            names.push(name);
        }
        Ok(names)
    }
}
