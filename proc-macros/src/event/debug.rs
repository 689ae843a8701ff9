//! `Debug` without what the schema marks as sensitive.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use serde_json::Value;
use syn::ext::IdentExt as _;

use super::ast::{DebugOption, Event};
use super::schema::{Properties, Record, Shape};

/// The `Debug` of an event, or a check that it has none that shows what is marked.
pub(crate) fn expand(event: &Event<'_>, record: &Record) -> TokenStream {
    let marks = Marks::of(record);
    let ident = &event.input.ident;
    match event.debug {
        DebugOption::Masked => {
            let is_hidden = |name: &str| {
                let field = record.fields.iter().find(|field| field.name == name);
                // What is written as another type says nothing about its own fields.
                event.serde.converted
                    || is_marked(&record.properties)
                    || field.is_some_and(|field| is_marked(&field.properties) || marks.are_within(&field.shape))
            };
            let fields: Vec<_> =
                event.fields.iter().map(|field| (field.ident.clone(), is_hidden(&field.serde.name))).collect();
            implement(ident, &ident.unraw().to_string(), &fields)
        }
        DebugOption::Unsaid if marks.any() => {
            let krate = &event.krate;
            let span = ident.span().resolved_at(Span::call_site());
            quote_spanned! {span=>
                const _: () = {
                    #[allow(unused_imports, reason = "only a type without Debug has it from here")]
                    use #krate::__private::NotDebug as _;
                    #krate::__private::assert_hidden::<#ident>(<#krate::__private::Probe<#ident>>::IS_DEBUG);
                };
            }
        }
        DebugOption::Unsaid | DebugOption::Own => TokenStream::new(),
    }
}

/// A `Debug` that shows `***` in place of some fields.
pub(crate) fn implement(ident: &Ident, name: &str, fields: &[(Ident, bool)]) -> TokenStream {
    let fields = fields.iter().map(|(field, hidden)| {
        let name = field.unraw().to_string();
        if *hidden { quote!(.field(#name, &::core::format_args!("***"))) } else { quote!(.field(#name, &self.#field)) }
    });
    quote! {
        impl ::core::fmt::Debug for #ident {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.debug_struct(#name) #(#fields)* .finish()
            }
        }
    }
}

/// Whether `"pii": true` is among the properties.
pub(crate) fn is_marked(properties: &Properties) -> bool {
    properties.get("pii") == Some(&Value::Bool(true))
}

/// Whether a record, or anything within it, is marked.
pub(crate) fn has_marks(record: &Record) -> bool {
    Marks::of(record).any()
}

/// The records of a schema, by their full names: whether each has marked fields of its own, or is marked itself.
struct Marks<'s> {
    records: BTreeMap<&'s str, &'s Record>,
}

impl<'s> Marks<'s> {
    fn of(record: &'s Record) -> Self {
        let mut records = BTreeMap::new();
        collect(record, &mut records);
        Self { records }
    }

    fn any(&self) -> bool {
        self.records.values().any(|record| has_own_marks(record))
    }

    /// Whether a value of this type holds something that is marked.
    fn are_within(&self, shape: &Shape) -> bool {
        self.reach(shape, &mut Vec::new())
    }

    fn reach<'a>(&'a self, shape: &'a Shape, seen: &mut Vec<&'a str>) -> bool {
        let record = match shape {
            Shape::Array(part) | Shape::Map(part) => return self.reach(part, seen),
            Shape::Union(branches) => return branches.iter().any(|branch| self.reach(branch, seen)),
            Shape::Record(record) => record,
            Shape::Reference(name) => match self.records.get(name.as_str()) {
                Some(record) => record,
                None => return false,
            },
            Shape::Primitive { .. } | Shape::Enum { .. } | Shape::Fixed { .. } => return false,
        };
        if seen.contains(&record.full_name.as_str()) {
            return false;
        }
        seen.push(&record.full_name);
        has_own_marks(record) || record.fields.iter().any(|field| self.reach(&field.shape, seen))
    }
}

fn has_own_marks(record: &Record) -> bool {
    is_marked(&record.properties) || record.fields.iter().any(|field| is_marked(&field.properties))
}

fn collect<'s>(record: &'s Record, records: &mut BTreeMap<&'s str, &'s Record>) {
    records.insert(&record.full_name, record);
    record.fields.iter().for_each(|field| collect_within(&field.shape, records));
}

fn collect_within<'s>(shape: &'s Shape, records: &mut BTreeMap<&'s str, &'s Record>) {
    match shape {
        Shape::Array(part) | Shape::Map(part) => collect_within(part, records),
        Shape::Union(branches) => branches.iter().for_each(|branch| collect_within(branch, records)),
        Shape::Record(record) => collect(record, records),
        Shape::Primitive { .. } | Shape::Enum { .. } | Shape::Fixed { .. } | Shape::Reference(_) => {}
    }
}
