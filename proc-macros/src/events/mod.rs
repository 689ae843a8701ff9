//! `events!("schemas/accounts")`: the types of a folder of schemas.
//!
//! A record becomes a struct, an enum an enum, a union of several types an enum too, a namespace a module. The records at the top of the files are events: for those the
//! derive is written out, which checks them as it checks a struct that somebody wrote.

mod check;
mod expand;
mod folder;
mod identifiers;
mod types;
mod unions;

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Path, Token, parse_quote};

use self::expand::Namespaces;
use crate::attr;
use crate::diagnostics::Diagnostics;

/// What the macro is given.
struct Arguments {
    folder: LitStr,
    /// The path to the `tidings` crate.
    krate: Path,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let example = "expected the folder of schemas, e.g. `events!(\"schemas/accounts\")`";
        let folder = input.parse::<LitStr>().map_err(|error| syn::Error::new(error.span(), example))?;
        let mut krate = parse_quote!(::tidings);
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let key = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
            if key != "crate" {
                let message = format!("unknown `events!` option `{key}`; expected `crate`");
                return Err(syn::Error::new(key.span(), message));
            }
            krate = attr::path(&key, input)?;
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(Self { folder, krate })
    }
}

/// The expansion of the macro.
pub(crate) fn types_of(input: TokenStream) -> TokenStream {
    let arguments = match syn::parse2::<Arguments>(input) {
        Ok(arguments) => arguments,
        Err(error) => return error.to_compile_error(),
    };
    let mut diagnostics = Diagnostics::new();
    let mut namespaces = Namespaces::new(&arguments.krate);
    for file in folder::read(&arguments.folder, &mut diagnostics) {
        let errors = diagnostics.len();
        if let Some(event) = check::check(&file, &arguments.folder, &mut diagnostics)
            && diagnostics.len() == errors
        {
            namespaces.add(&file, &event, &arguments.folder, &mut diagnostics);
        }
    }
    // What is without fault is there all the same: the rest of the crate has fewer errors of its own then.
    let (types, errors) = (namespaces.into_tokens(), diagnostics.to_compile_errors());
    quote::quote!(#errors #types)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::types_of;
    use crate::snapshot::{assert_no_identifier, assert_snapshot};

    #[test]
    fn a_folder_becomes_modules_of_types() {
        let expansion = types_of(quote!("tests/schemas/every"));
        assert_snapshot("events", expansion);
    }

    #[test]
    fn a_renamed_crate_is_named_everywhere() {
        let expansion = types_of(quote!("tests/schemas/every", crate = happenings));
        assert_no_identifier(&expansion, "tidings");
        assert!(!expansion.to_string().contains("tidings ::"), "{expansion}");
    }

    #[test]
    fn what_cannot_be_says_why_and_the_rest_is_there() {
        let expansion = types_of(quote!("tests/schemas/faulty"));
        assert_snapshot("events_faulty", expansion);
    }
}
