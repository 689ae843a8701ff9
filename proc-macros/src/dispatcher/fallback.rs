//! What comes out of a faulty block: its errors, and enough for the rest of the crate to resolve.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ImplItem;
use syn::spanned::Spanned as _;

use super::ast::{self, Block};
use crate::diagnostics::Diagnostics;

/// The errors and a `Dispatcher` that is never asked for its routes.
pub(crate) fn expand(block: &Block, diagnostics: &Diagnostics) -> TokenStream {
    let errors = diagnostics.to_compile_errors();
    let krate = &block.options.krate;
    let ty = &block.item.self_ty;
    // A type that borrows cannot be a dispatcher, and a stub for it would only add an error.
    if block.type_name().is_none() || block.lifetime().is_some() {
        return errors;
    }
    let (generics, _, where_clause) = block.item.generics.split_for_impl();
    let header = quote_spanned!(ty.span()=> impl #generics #krate::Dispatcher for #ty #where_clause);
    quote! {
        #errors

        #[automatically_derived]
        #header {
            const SOURCE: &'static ::core::primitive::str = "";
            const NAME: &'static ::core::primitive::str = "";

            fn routes() -> #krate::dispatch::Routes<Self> {
                ::core::unreachable!()
            }
        }
    }
}

/// The item as the user wrote it, without `#[on]`, which would be an error of its own.
pub(crate) fn without_markers(item: TokenStream) -> TokenStream {
    let Ok(mut block) = syn::parse2::<syn::ItemImpl>(item.clone()) else { return item };
    for entry in &mut block.items {
        if let ImplItem::Fn(method) = entry {
            ast::take_markers(&mut method.attrs);
        }
    }
    quote!(#block)
}
