//! The conditions of a method: an attribute macro sees the block before `#[cfg]` is evaluated, so they are copied to the route.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// The attributes that decide whether the method exists: `#[cfg]`, and what of a `#[cfg_attr]` holds one.
pub(crate) fn of(attributes: &[Attribute]) -> Vec<TokenStream> {
    attributes.iter().filter_map(|attribute| condition(&attribute.meta)).map(|meta| quote!(#[#meta])).collect()
}

/// The first of them.
pub(crate) fn find(attributes: &[Attribute]) -> Option<&Attribute> {
    attributes.iter().find(|attribute| condition(&attribute.meta).is_some())
}

fn condition(meta: &Meta) -> Option<TokenStream> {
    if meta.path().is_ident("cfg") {
        return Some(meta.to_token_stream());
    }
    let (predicate, inner) = cfg_attr(meta)?;
    let inner: Vec<_> = inner.iter().filter_map(condition).collect();
    (!inner.is_empty()).then(|| quote!(cfg_attr(#predicate, #(#inner),*)))
}

/// The attributes that a `#[cfg_attr]` may add, at any depth.
pub(crate) fn conditional(attribute: &Attribute) -> Vec<Meta> {
    let mut found = Vec::new();
    collect(&attribute.meta, &mut found);
    found
}

fn collect(meta: &Meta, found: &mut Vec<Meta>) {
    for inner in cfg_attr(meta).into_iter().flat_map(|(_, inner)| inner) {
        collect(&inner, found);
        found.push(inner);
    }
}

/// The predicate of a `cfg_attr` and what it adds.
fn cfg_attr(meta: &Meta) -> Option<(Meta, Vec<Meta>)> {
    if !meta.path().is_ident("cfg_attr") {
        return None;
    }
    let list = meta.require_list().ok()?;
    let mut metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?.into_iter();
    Some((metas.next()?, metas.collect()))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn only_conditions_are_copied() {
        let attributes = [
            parse_quote!(#[doc = "text"]),
            parse_quote!(#[cfg(unix)]),
            parse_quote!(#[cfg_attr(test, inline)]),
            parse_quote!(#[cfg_attr(test, cfg(a), inline, cfg_attr(b, cfg(c), cold))]),
        ];
        let copied: Vec<_> = of(&attributes).iter().map(ToString::to_string).collect();
        let expected =
            [quote!(#[cfg(unix)]), quote!(#[cfg_attr(test, cfg(a), cfg_attr(b, cfg(c)))])].map(|t| t.to_string());
        assert_eq!(copied, expected);
    }
}
