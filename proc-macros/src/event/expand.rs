//! The implementation of `Event`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned as _;

use super::ast::{Event, Field};
use crate::diagnostics::Diagnostics;
use crate::names;

/// Where the schema's text comes from.
pub(crate) enum SchemaText {
    /// An absolute path.
    File(String),
    Inline(LitStr),
}

/// The implementation for a faultless struct.
pub(crate) fn expand(event: &Event<'_>, schema: &SchemaText) -> TokenStream {
    let krate = &event.krate;
    let ident = &event.input.ident;
    let (name, version) = (&event.name, &event.version);
    let entity = entity(event);
    let schema = match schema {
        // Included rather than copied, so that cargo rebuilds when the file changes.
        SchemaText::File(path) => quote!(::core::include_str!(#path)),
        SchemaText::Inline(literal) => quote!(#literal),
    };
    let key = event.fields.iter().find(|field| field.key.is_some()).map(|field| text(event, field));
    let entity_id = event.fields.iter().find(|field| field.entity_id.is_some()).map(|field| {
        let text = text(event, field);
        quote! {
            fn entity_id(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
                #text
            }
        }
    });
    let (upcasts, check) = upcasts(event);
    quote! {
        #[automatically_derived]
        impl #krate::Event for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const VERSION: &'static ::core::primitive::str = #version;
            const SCHEMA: &'static ::core::primitive::str = #schema;
            const ENTITY: &'static ::core::primitive::str = #entity;
            #upcasts

            fn key(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
                #key
            }

            #entity_id
        }

        #check
    }
}

/// What the event is made from in its older versions, and that those are such.
fn upcasts(event: &Event<'_>) -> (TokenStream, TokenStream) {
    let Some(older) = &event.upcast_from else { return (TokenStream::new(), TokenStream::new()) };
    let (krate, ident) = (&event.krate, &event.input.ident);
    let span = older.span().resolved_at(Span::call_site());
    // On the older type, so that one that is no event, or that nothing is made from, is reported there.
    let from = quote_spanned!(span=> #krate::upcast::Upcasts::<#ident>::from::<#older>());
    let upcasts = quote! {
        const UPCASTS: ::core::option::Option<#krate::upcast::Upcasts<Self>> = ::core::option::Option::Some(#from);
    };
    let check = quote_spanned!(span=> const _: () = #krate::__private::assert_older::<#older, #ident>(););
    (upcasts, check)
}

fn entity(event: &Event<'_>) -> String {
    let from_name = || {
        let name = event.name.as_ref().map(LitStr::value).unwrap_or_default();
        names::split_event_name(&name).0.to_owned()
    };
    event.entity.as_ref().map_or_else(from_name, LitStr::value)
}

/// A field's text as a key. On the field's type, so that a type that cannot be a key is reported there.
fn text(event: &Event<'_>, field: &Field<'_>) -> TokenStream {
    let (krate, ident, ty) = (&event.krate, field.ident, field.ty);
    let span = ty.span().resolved_at(Span::call_site());
    quote_spanned!(span=> <#ty as #krate::Key>::to_key(&self.#ident))
}

/// The errors, and an `Event` for the rest of the crate to resolve.
pub(crate) fn fallback(event: &Event<'_>, diagnostics: &Diagnostics) -> TokenStream {
    let errors = diagnostics.to_compile_errors();
    if !event.input.generics.params.is_empty() {
        return errors;
    }
    let krate = &event.krate;
    let ident = &event.input.ident;
    // An empty name is not compared with the one in `#[on]`: there is an error already.
    let name = event.name.as_ref().map(LitStr::value).unwrap_or_default();
    quote! {
        #errors

        #[automatically_derived]
        impl #krate::Event for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const VERSION: &'static ::core::primitive::str = "";
            const SCHEMA: &'static ::core::primitive::str = "";
            const ENTITY: &'static ::core::primitive::str = "";

            fn key(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
                ::core::unreachable!()
            }
        }
    }
}
