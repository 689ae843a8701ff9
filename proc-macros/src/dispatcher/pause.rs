//! A duration, and where it was written.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::{Ident, LitStr};

use crate::attr;
use crate::diagnostics::Diagnostics;
use crate::duration;

/// A duration and where it was written.
#[derive(Clone)]
pub(crate) struct Pause {
    duration: Duration,
    literal: LitStr,
}

impl Pause {
    pub(crate) fn read(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Self> {
        let literal = attr::string(key, input, example)?;
        Ok(Self { duration: duration::parse(&literal)?, literal })
    }

    pub(crate) fn to_tokens(&self) -> TokenStream {
        let (seconds, nanoseconds) = (self.duration.as_secs(), self.duration.subsec_nanos());
        quote!(::core::time::Duration::new(#seconds, #nanoseconds))
    }
}

/// The first of some pauses and the longest, of a handler completed by its block.
pub(crate) struct Growth<'a> {
    pub(crate) first: Option<&'a Pause>,
    pub(crate) longest: Option<&'a Pause>,
    /// Where the handler says the longest itself, that is what is wrong.
    pub(crate) longest_is_new: bool,
}

impl Growth<'_> {
    /// Whether the first pause is longer than the longest; `keys` are what the two are called.
    pub(crate) fn check(&self, keys: (&str, &str), diagnostics: &mut Diagnostics) {
        if let (Some(first), Some(longest)) = (self.first, self.longest)
            && first.duration > longest.duration
        {
            let (first_text, longest_text) = (first.literal.value(), longest.literal.value());
            let message = format!(
                "the first pause, {first_text:?}, is longer than the longest, {longest_text:?}\n\
                 help: pauses double from `{}` up to `{}`",
                keys.0, keys.1
            );
            diagnostics.error(if self.longest_is_new { &longest.literal } else { &first.literal }, message);
        }
    }
}
