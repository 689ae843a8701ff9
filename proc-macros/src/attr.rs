//! Reads lists of options, `key = value` or `key(..)`, and goes on after a bad one.

use proc_macro2::TokenTree;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Ident, LitInt, LitStr, Path, Token};

use crate::diagnostics::{Diagnostics, alternatives};

/// The options an attribute knows, and those it has read.
#[derive(Debug)]
pub(crate) struct OptionReader {
    /// How messages call the attribute: `#[on]`, `retry`.
    owner: &'static str,
    keys: &'static [&'static str],
    seen: Vec<String>,
}

impl OptionReader {
    pub(crate) fn new(owner: &'static str, keys: &'static [&'static str]) -> Self {
        Self { owner, keys, seen: Vec::new() }
    }

    /// Read options up to the end; `apply` reads what follows a key.
    pub(crate) fn read(
        &mut self,
        input: ParseStream<'_>,
        diagnostics: &mut Diagnostics,
        mut apply: impl FnMut(&Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
    ) {
        while !input.is_empty() {
            let result = self.key(input).and_then(|key| apply(&key, input, diagnostics)).and_then(|()| comma(input));
            if let Err(error) = result {
                diagnostics.push(error);
                skip_past_comma(input);
            }
        }
    }

    /// Whether the option was given.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.seen.iter().any(|seen| seen == key)
    }

    fn key(&mut self, input: ParseStream<'_>) -> syn::Result<Ident> {
        let owner = self.owner;
        let expected = || format!("expected an option of `{owner}`: {}", alternatives(self.keys));
        let key = input.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), expected()))?;
        let name = key.to_string();
        if !self.keys.contains(&name.as_str()) {
            let known = alternatives(self.keys);
            return Err(syn::Error::new(key.span(), format!("unknown `{owner}` option `{name}`; expected {known}")));
        }
        if self.seen.contains(&name) {
            return Err(syn::Error::new(key.span(), format!("`{name}` specified more than once")));
        }
        self.seen.push(name);
        Ok(key)
    }
}

fn comma(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() { Ok(()) } else { input.parse::<Token![,]>().map(drop) }
}

fn skip_past_comma(input: ParseStream<'_>) {
    while !input.is_empty() {
        if input.parse::<Token![,]>().is_ok() || input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// The equals sign behind `key`.
fn equals(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<()> {
    if input.peek(Token![=]) {
        return input.parse::<Token![=]>().map(drop);
    }
    Err(syn::Error::new(key.span(), format!("`{key}` needs a value\nhelp: `{example}`")))
}

/// `key = "text"`.
pub(crate) fn string(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    equals(key, input, example)?;
    let wrong =
        |error: syn::Error| syn::Error::new(error.span(), format!("`{key}` takes a string literal\nhelp: `{example}`"));
    input.parse::<LitStr>().map_err(wrong)
}

/// `key = 5`.
pub(crate) fn integer(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<LitInt> {
    equals(key, input, example)?;
    let wrong =
        |error: syn::Error| syn::Error::new(error.span(), format!("`{key}` takes a whole number\nhelp: `{example}`"));
    input.parse::<LitInt>().map_err(wrong)
}

/// `crate = path`.
pub(crate) fn path(key: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    const EXAMPLE: &str = "crate = events";
    equals(key, input, EXAMPLE)?;
    if input.peek(LitStr) {
        let message = format!("`{key}` takes a path, without quotes\nhelp: `{EXAMPLE}`");
        return Err(syn::Error::new(input.span(), message));
    }
    input.call(Path::parse_mod_style)
}
