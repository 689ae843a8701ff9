//! Reads lists of options, `key = value` or `key(..)`, and their values, and goes on after a bad one.

use proc_macro2::TokenTree;
use syn::ext::IdentExt as _;
use syn::parse::{ParseBuffer, ParseStream};
use syn::{Ident, LitInt, LitStr, Path, Token, parenthesized, token};

use crate::diagnostics::{Diagnostics, alternatives};

/// The options an attribute knows, and those it has read.
#[derive(Debug)]
pub(crate) struct OptionReader {
    /// How messages call the attribute: `#[on]`, `retry`.
    owner: &'static str,
    keys: &'static [&'static str],
    /// One that is read, only to say why it cannot be used here.
    hidden: Option<&'static str>,
    seen: Vec<String>,
}

impl OptionReader {
    pub(crate) fn new(owner: &'static str, keys: &'static [&'static str]) -> Self {
        Self { owner, keys, hidden: None, seen: Vec::new() }
    }

    /// Do not name `key` among those that are expected.
    pub(crate) fn hide(&mut self, key: &'static str) {
        self.hidden = Some(key);
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
        let known: Vec<_> = self.keys.iter().copied().filter(|key| Some(*key) != self.hidden).collect();
        let known = alternatives(&known);
        let expected = || format!("expected an option of `{owner}`: {known}");
        let key = input.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), expected()))?;
        let name = key.to_string();
        if !self.keys.contains(&name.as_str()) {
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

/// Skip what follows a key, up to the comma.
pub(crate) fn skip_value(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
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

/// `key = 5`, from 0 to what 32 bits hold.
pub(crate) fn count(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<LitInt> {
    if input.peek(Token![=]) && input.peek2(Token![-]) {
        return Err(syn::Error::new(key.span(), format!("`{key}` cannot be negative\nhelp: `{example}`")));
    }
    let literal = integer(key, input, example)?;
    match literal.base10_parse::<u32>() {
        Ok(_) => Ok(literal),
        Err(_) => {
            let message = format!("`{key}` is at most {}\nhelp: `{example}`", u32::MAX);
            Err(syn::Error::new(literal.span(), message))
        }
    }
}

/// `key = 5`, at least 1; `why` it cannot be 0.
pub(crate) fn positive(key: &Ident, input: ParseStream<'_>, example: &str, why: &str) -> syn::Result<u32> {
    let literal = count(key, input, example)?;
    match literal.base10_parse::<u32>()? {
        0 => Err(syn::Error::new(literal.span(), why)),
        number => Ok(number),
    }
}

/// The list behind `key`: `key(..)`. One that is empty `says nothing`, which is an error of its own.
pub(crate) fn list<'a>(
    key: &Ident,
    input: ParseStream<'a>,
    example: &str,
    says_nothing: &str,
    diagnostics: &mut Diagnostics,
) -> syn::Result<ParseBuffer<'a>> {
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(key.span(), format!("`{key}` takes a list\nhelp: `{example}`")));
    }
    let list;
    parenthesized!(list in input);
    if list.is_empty() {
        diagnostics.error(key, says_nothing);
    }
    Ok(list)
}

/// One of some words, `key = "word"`; `what` they are.
pub(crate) fn choice<T: Copy>(
    key: &Ident,
    input: ParseStream<'_>,
    what: &str,
    known: &[(&str, T)],
) -> syn::Result<(T, LitStr)> {
    let example = known.first().map(|(word, _)| format!("{key} = {word:?}")).unwrap_or_default();
    let literal = string(key, input, &example)?;
    let text = literal.value();
    if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
        return Ok((*value, literal));
    }
    let words: Vec<_> = known.iter().map(|(word, _)| format!("{word:?}")).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let known = alternatives(&words).replace('`', "");
    Err(syn::Error::new(literal.span(), format!("unknown {what} {text:?}; expected {known}")))
}

/// `key = field`.
pub(crate) fn field(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Ident> {
    equals(key, input, example)?;
    let wrong = |error: syn::Error| {
        let message = format!("`{key}` takes a field of the payload, without quotes\nhelp: `{example}`");
        syn::Error::new(error.span(), message)
    };
    input.parse::<Ident>().map_err(wrong)
}

/// `crate = path`.
pub(crate) fn path(key: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    path_to(key, input, "crate = events")
}

/// `key = path`.
pub(crate) fn path_to(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Path> {
    equals(key, input, example)?;
    if input.peek(LitStr) {
        let message = format!("`{key}` takes a path, without quotes\nhelp: `{example}`");
        return Err(syn::Error::new(input.span(), message));
    }
    input.call(Path::parse_mod_style)
}
