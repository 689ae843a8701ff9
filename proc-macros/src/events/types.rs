//! The Rust type of an Avro type.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Path;

use super::identifiers::identifier;
use crate::event::schema::{Shape, last_part};

/// An `i128` holds every number of so many digits.
const MAX_PRECISION: u64 = 38;

/// Where types are written, and what names mean there.
pub(super) struct Surroundings<'a> {
    pub(super) krate: &'a Path,
    pub(super) span: Span,
    /// The module that they are written in.
    pub(super) namespace: &'a str,
    /// Records that are being defined: one within itself needs a box.
    pub(super) open: &'a [&'a str],
}

/// The type, or why there is none.
pub(super) fn rust_type(shape: &Shape, at: &Surroundings<'_>) -> Result<TokenStream, String> {
    let krate = at.krate;
    Ok(match shape {
        Shape::Primitive { name, logical, decimal } => {
            return primitive(krate, name, logical.as_deref(), *decimal);
        }
        Shape::Array(items) => {
            let items = rust_type(items, at)?;
            quote!(::std::vec::Vec<#items>)
        }
        Shape::Map(values) => {
            let values = rust_type(values, at)?;
            quote!(::std::collections::HashMap<::std::string::String, #values>)
        }
        Shape::Union(branches) => match branches.as_slice() {
            [null, other] if null.is_null() && !other.is_null() => {
                let other = rust_type(other, at)?;
                quote!(::core::option::Option<#other>)
            }
            _ => {
                return Err("a union of more than null and one type has no Rust type here\n\
                            help: make it a record with a field for each, or write this event's struct by hand"
                    .to_owned());
            }
        },
        Shape::Fixed { logical: Some(logical), .. } if logical == "decimal" => {
            return Err("a decimal is \"bytes\" here, not fixed\n\
                        help: {\"type\": \"bytes\", \"logicalType\": \"decimal\", …}"
                .to_owned());
        }
        Shape::Fixed { size, .. } => {
            let size =
                usize::try_from(*size).map_err(|_| "its size does not fit this machine\nhelp: \"bytes\"".to_owned())?;
            quote!(#krate::payload::FixedBytes<#size>)
        }
        Shape::Enum { full_name, .. } => path(full_name, at),
        Shape::Record(record) => path(&record.full_name, at),
        Shape::Reference(full_name) => {
            let path = path(full_name, at);
            if at.open.contains(&full_name.as_str()) { quote!(::std::boxed::Box<#path>) } else { path }
        }
    })
}

fn primitive(
    krate: &Path,
    name: &str,
    logical: Option<&str>,
    decimal: Option<(u64, u64)>,
) -> Result<TokenStream, String> {
    Ok(match (name, logical) {
        ("bytes", Some("decimal")) => match decimal {
            Some((1..=MAX_PRECISION, scale)) => {
                let scale = u32::try_from(scale)
                    .map_err(|_| "its scale is too large\nhelp: at most its precision".to_owned())?;
                quote!(#krate::payload::Decimal<#scale>)
            }
            _ => {
                return Err(format!(
                    "a decimal has a \"precision\" of 1 to {MAX_PRECISION} digits here\n\
                     help: {{\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": 18, \"scale\": 2}}"
                ));
            }
        },
        ("string", Some("uuid")) => quote!(#krate::__private::Uuid),
        ("int", Some("date")) => quote!(#krate::payload::Date),
        ("long", Some("timestamp-micros")) => quote!(#krate::payload::Timestamp),
        ("long", Some("local-timestamp-micros")) => quote!(#krate::payload::LocalTimestamp),
        ("null", _) => quote!(()),
        ("boolean", _) => quote!(::core::primitive::bool),
        ("int", _) => quote!(::core::primitive::i32),
        ("long", _) => quote!(::core::primitive::i64),
        ("float", _) => quote!(::core::primitive::f32),
        ("double", _) => quote!(::core::primitive::f64),
        ("bytes", _) => quote!(#krate::payload::Bytes),
        _ => quote!(::std::string::String),
    })
}

/// The way to a type from where it is named: every namespace is a module.
fn path(full_name: &str, at: &Surroundings<'_>) -> TokenStream {
    let name = identifier(last_part(full_name), at.span);
    let namespace = full_name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
    if namespace == at.namespace {
        return quote!(self::#name);
    }
    let up = at.namespace.split('.').filter(|part| !part.is_empty()).map(|_| quote!(super::));
    let down = namespace.split('.').filter(|part| !part.is_empty()).map(|part| {
        let part = identifier(part, at.span);
        quote!(#part::)
    });
    quote!(#(#up)* #(#down)* #name)
}
