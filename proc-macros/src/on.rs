//! `#[on]` outside of a `#[dispatcher]` block: an error, and the item as it was.

use proc_macro2::{Span, TokenStream};
use quote::quote;

/// The expansion of an `#[on]` that no `#[dispatcher]` took away.
pub(crate) fn stray(item: &TokenStream) -> TokenStream {
    let error = syn::Error::new(
        Span::call_site(),
        "`#[on]` only works on a method that is written inside a `#[dispatcher]` impl block\n\
         help: annotate the block: `#[dispatcher(source = \"accounts\")] impl … { … }`",
    )
    .to_compile_error();
    quote!(#error #item)
}
