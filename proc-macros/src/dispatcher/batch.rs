//! `batch(max = 100, wait = "50ms")`: the handler takes many events at once.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::{Ident, Path};

use super::pause::Pause;
use crate::attr::{self, OptionReader};
use crate::diagnostics::Diagnostics;

const EXAMPLE: &str = "batch(max = 100, wait = \"50ms\")";

/// How a handler of batches is given its events. What is `None` was faulty, which is an error already.
pub(crate) struct BatchOptions {
    max: Option<u32>,
    wait: Option<Pause>,
}

impl BatchOptions {
    pub(crate) fn read(key: &Ident, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<Self> {
        let mut options = Self { max: None, wait: None };
        let says_nothing = format!("`batch` needs `max` and `wait`\nhelp: `{EXAMPLE}`");
        let list = attr::list(key, input, EXAMPLE, &says_nothing, diagnostics)?;
        let is_empty = list.is_empty();
        let mut reader = OptionReader::new("batch", &["max", "wait"]);
        reader.read(&list, diagnostics, |key, input, _| {
            if key == "max" {
                let why = "a batch holds at least 1 event\nhelp: events at most: `max = 100`";
                options.max = Some(attr::positive(key, input, "max = 100", why)?);
            } else {
                options.wait = Some(Pause::read(key, input, "wait = \"50ms\"")?);
            }
            Ok(())
        });
        if !is_empty && !reader.has("max") {
            let message = format!("`batch` needs `max`: how many events the handler takes at most\nhelp: `{EXAMPLE}`");
            diagnostics.error(key, message);
        }
        if !is_empty && !reader.has("wait") {
            let message = format!("`batch` needs `wait`: how long a first event waits for others\nhelp: `{EXAMPLE}`");
            diagnostics.error(key, message);
        }
        Ok(options)
    }

    /// The value of a `tidings::dispatch::BatchPolicy`.
    pub(crate) fn to_tokens(&self, krate: &Path) -> TokenStream {
        let max = self.max;
        let wait = self.wait.as_ref().map(Pause::to_tokens);
        quote!(#krate::dispatch::BatchPolicy::new(#max, #wait))
    }
}
