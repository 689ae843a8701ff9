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
    /// What the enum of a union there is called.
    pub(super) union_name: &'a str,
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
        Shape::Union(branches) => return union(branches, at),
        Shape::Fixed { logical: Some(logical), size, decimal, .. } if logical == "decimal" => {
            // So many bits, one of them the sign's, are so many digits.
            let digits = size.saturating_mul(8).saturating_sub(1).saturating_mul(30_103) / 100_000;
            return decimal_type(krate, *decimal, digits.min(MAX_PRECISION));
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

/// What is null or one other type is an `Option`; what may be more than one other is an enum.
fn union(branches: &[Shape], at: &Surroundings<'_>) -> Result<TokenStream, String> {
    let nullable = branches.iter().any(Shape::is_null);
    let mut others = branches.iter().filter(|branch| !branch.is_null());
    let ty = match (others.next(), others.next()) {
        (None, _) => {
            return Err("a union of nothing, or of nothing but null, holds no value\nhelp: name its types".into());
        }
        (Some(other), None) if nullable => rust_type(other, at)?,
        _ => {
            let name = identifier(at.union_name, at.span);
            quote!(self::#name)
        }
    };
    Ok(if nullable { quote!(::core::option::Option<#ty>) } else { ty })
}

fn decimal_type(krate: &Path, decimal: Option<(u64, u64)>, max_precision: u64) -> Result<TokenStream, String> {
    match decimal {
        Some((precision, scale)) if (1..=max_precision).contains(&precision) && scale <= precision => {
            // At most the precision.
            let scale = u32::try_from(scale).unwrap_or_default();
            Ok(quote!(#krate::payload::Decimal<#scale>))
        }
        Some((precision, scale)) if (1..=max_precision).contains(&precision) => Err(format!(
            "a decimal's \"scale\" is at most its precision, and this one has {scale} of {precision} digits\n\
             help: at most {precision}"
        )),
        _ => Err(format!(
            "a decimal has a \"precision\" of 1 to {max_precision} digits here\n\
             help: \"precision\": {}, \"scale\": 2",
            max_precision.min(18)
        )),
    }
}

fn primitive(
    krate: &Path,
    name: &str,
    logical: Option<&str>,
    decimal: Option<(u64, u64)>,
) -> Result<TokenStream, String> {
    Ok(match (name, logical) {
        ("bytes", Some("decimal")) => return decimal_type(krate, decimal, MAX_PRECISION),
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
