//! The options about failures, which a block and a handler share.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::{Ident, LitStr, Path, Token, parenthesized, token};

use crate::attr::{self, OptionReader};
use crate::diagnostics::{Diagnostics, alternatives};
use crate::duration;

/// What a block or a handler says about failures.
#[derive(Clone, Default)]
pub(crate) struct PolicyOptions {
    max_attempts: Option<u32>,
    initial: Option<Pause>,
    max: Option<Pause>,
    max_age: Option<Pause>,
    on_exhausted: Option<OnExhausted>,
    timeout: Option<Pause>,
}

/// A duration and where it was written.
#[derive(Clone)]
struct Pause {
    duration: Duration,
    literal: LitStr,
}

#[derive(Debug, Clone, Copy)]
enum OnExhausted {
    DeadLetter,
    Stop,
}

impl PolicyOptions {
    /// Read what follows `retry`, `on_exhausted` or `timeout`.
    pub(crate) fn read(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        diagnostics: &mut Diagnostics,
    ) -> syn::Result<()> {
        if key == "retry" {
            return self.read_retry(key, input, diagnostics);
        }
        if key == "timeout" {
            self.timeout = Some(Pause::read(key, input, "timeout = \"30s\"")?);
            return Ok(());
        }
        let literal = attr::string(key, input, "on_exhausted = \"dead_letter\"")?;
        self.on_exhausted = Some(match literal.value().as_str() {
            "dead_letter" => OnExhausted::DeadLetter,
            "stop" => OnExhausted::Stop,
            other => {
                let known = alternatives(&["\"dead_letter\"", "\"stop\""]).replace('`', "");
                return Err(syn::Error::new(
                    literal.span(),
                    format!("unknown `on_exhausted` action {other:?}; expected {known}"),
                ));
            }
        });
        Ok(())
    }

    fn read_retry(&mut self, key: &Ident, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        if !input.peek(token::Paren) {
            let message = "`retry` takes a list\nhelp: `retry(max_attempts = 5, initial = \"200ms\")`";
            return Err(syn::Error::new(key.span(), message));
        }
        let list;
        parenthesized!(list in input);
        if list.is_empty() {
            diagnostics.error(
                key,
                "`retry` says nothing\nhelp: `retry(max_attempts = 5)`, or leave it out to inherit all of it",
            );
        }
        let mut reader = OptionReader::new("retry", &["max_attempts", "initial", "max", "max_age"]);
        reader.read(&list, diagnostics, |key, input, _| {
            if key == "max_attempts" {
                self.max_attempts = Some(attempts(key, input)?);
            } else if key == "initial" {
                self.initial = Some(Pause::read(key, input, "initial = \"200ms\"")?);
            } else if key == "max" {
                self.max = Some(Pause::read(key, input, "max = \"30s\"")?);
            } else {
                self.max_age = Some(Pause::read(key, input, "max_age = \"10m\"")?);
            }
            Ok(())
        });
        Ok(())
    }

    /// These options, completed by those of the block.
    pub(crate) fn or(&self, block: &Self) -> Self {
        Self {
            max_attempts: self.max_attempts.or(block.max_attempts),
            initial: self.initial.clone().or_else(|| block.initial.clone()),
            max: self.max.clone().or_else(|| block.max.clone()),
            max_age: self.max_age.clone().or_else(|| block.max_age.clone()),
            on_exhausted: self.on_exhausted.or(block.on_exhausted),
            timeout: self.timeout.clone().or_else(|| block.timeout.clone()),
        }
    }

    /// Whether the first pause is longer than the longest.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if let (Some(initial), Some(max)) = (&self.initial, &self.max)
            && initial.duration > max.duration
        {
            let message = format!(
                "the first pause, {:?}, is longer than the longest, {:?}\n\
                 help: pauses double from `initial` up to `max`",
                initial.literal.value(),
                max.literal.value()
            );
            diagnostics.error(&initial.literal, message);
        }
    }

    /// The value of a `tidings::dispatch::Policy`.
    pub(crate) fn to_tokens(&self, krate: &Path) -> TokenStream {
        let mut tokens = quote!(#krate::dispatch::Policy::INHERIT);
        if let Some(attempts) = self.max_attempts {
            tokens.extend(quote!(.max_attempts(#attempts)));
        }
        let pauses = [
            (quote!(initial), &self.initial),
            (quote!(max), &self.max),
            (quote!(max_age), &self.max_age),
            (quote!(timeout), &self.timeout),
        ];
        for (setter, pause) in pauses {
            if let Some(pause) = pause {
                let pause = pause.to_tokens();
                tokens.extend(quote!(.#setter(#pause)));
            }
        }
        let action = match self.on_exhausted {
            Some(OnExhausted::DeadLetter) => quote!(DeadLetter),
            Some(OnExhausted::Stop) => quote!(Stop),
            None => return tokens,
        };
        quote!(#tokens.on_exhausted(#krate::dispatch::OnExhausted::#action))
    }
}

impl Pause {
    fn read(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Self> {
        let literal = attr::string(key, input, example)?;
        Ok(Self { duration: duration::parse(&literal)?, literal })
    }

    fn to_tokens(&self) -> TokenStream {
        let (seconds, nanoseconds) = (self.duration.as_secs(), self.duration.subsec_nanos());
        quote!(::core::time::Duration::new(#seconds, #nanoseconds))
    }
}

/// `max_attempts = 5`.
fn attempts(key: &Ident, input: ParseStream<'_>) -> syn::Result<u32> {
    if input.peek(Token![=]) && input.peek2(Token![-]) {
        return Err(syn::Error::new(key.span(), "`max_attempts` cannot be negative\nhelp: `max_attempts = 5`"));
    }
    let literal = attr::integer(key, input, "max_attempts = 5")?;
    match literal.base10_parse::<u32>() {
        Ok(0) => Err(syn::Error::new(
            literal.span(),
            "`max_attempts` counts the first attempt too, so it is at least 1\nhelp: `max_attempts = 1` never retries",
        )),
        other => other,
    }
}
