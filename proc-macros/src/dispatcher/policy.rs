//! The options about failures, order and limits, which a block and a handler share.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::{Ident, LitStr, Path};

use super::pause::{Growth, Pause};
use crate::attr::{self, OptionReader};
use crate::diagnostics::Diagnostics;

/// The options that [`PolicyOptions::read`] reads.
macro_rules! policy_keys {
    ($($before:literal),*; $($behind:literal),*) => {
        &[
            $($before,)*
            "retry", "on_exhausted", "timeout", "order", "concurrency", "rate", "max_waiting", "breaker",
            $($behind,)*
        ]
    };
}
pub(crate) use policy_keys;

/// What a block or a handler says about failures, order and limits.
#[derive(Clone, Default)]
pub(crate) struct PolicyOptions {
    max_attempts: Option<u32>,
    initial: Option<Pause>,
    max: Option<Pause>,
    max_age: Option<Pause>,
    on_exhausted: Option<(OnExhausted, LitStr)>,
    timeout: Option<Pause>,
    order: Option<(Order, LitStr)>,
    concurrency: Option<u32>,
    rate: Option<u32>,
    max_waiting: Option<u32>,
    breaker_keys: Option<u32>,
    breaker_pause: Option<Pause>,
    breaker_max_pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnExhausted {
    DeadLetter,
    ParkKey,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Key,
    Partition,
    Unordered,
}

impl PolicyOptions {
    /// Read what follows one of the [`policy_keys`].
    pub(crate) fn read(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        diagnostics: &mut Diagnostics,
    ) -> syn::Result<()> {
        match key.to_string().as_str() {
            "retry" => return self.read_retry(key, input, diagnostics),
            "breaker" => return self.read_breaker(key, input, diagnostics),
            "timeout" => self.timeout = Some(Pause::read(key, input, "timeout = \"30s\"")?),
            "order" => {
                let known = [("key", Order::Key), ("partition", Order::Partition), ("unordered", Order::Unordered)];
                self.order = Some(attr::choice(key, input, "`order`", &known)?);
            }
            "concurrency" => {
                let why = "with a `concurrency` of 0 the handler would never run\n\
                           help: `concurrency = 8`, or leave it out for no limit";
                self.concurrency = Some(attr::positive(key, input, "concurrency = 8", why)?);
            }
            "rate" => {
                let why = "with a `rate` of 0 the handler would never run\n\
                           help: attempts a second: `rate = 100`; leave it out for no limit";
                self.rate = Some(attr::positive(key, input, "rate = 100", why)?);
            }
            "max_waiting" => {
                self.max_waiting = Some(attr::count(key, input, "max_waiting = 1000")?.base10_parse()?);
            }
            _ => {
                let known = [
                    ("dead_letter", OnExhausted::DeadLetter),
                    ("park_key", OnExhausted::ParkKey),
                    ("stop", OnExhausted::Stop),
                ];
                self.on_exhausted = Some(attr::choice(key, input, "`on_exhausted` action", &known)?);
            }
        }
        Ok(())
    }

    fn read_retry(&mut self, key: &Ident, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        let says_nothing =
            "`retry` says nothing\nhelp: `retry(max_attempts = 5)`, or leave it out to inherit all of it";
        let list = attr::list(key, input, "retry(max_attempts = 5, initial = \"200ms\")", says_nothing, diagnostics)?;
        let mut reader = OptionReader::new("retry", &["max_attempts", "initial", "max", "max_age"]);
        reader.read(&list, diagnostics, |key, input, _| {
            if key == "max_attempts" {
                let why = "`max_attempts` counts the first attempt too, so it is at least 1\n\
                           help: `max_attempts = 1` never retries";
                self.max_attempts = Some(attr::positive(key, input, "max_attempts = 5", why)?);
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

    fn read_breaker(&mut self, key: &Ident, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        let says_nothing = "`breaker` says nothing\nhelp: `breaker(keys = 20)`, or leave it out to inherit all of it; \
                            `breaker(keys = 0)` has none";
        let list = attr::list(key, input, "breaker(keys = 20, pause = \"5s\")", says_nothing, diagnostics)?;
        let mut reader = OptionReader::new("breaker", &["keys", "pause", "max_pause"]);
        reader.read(&list, diagnostics, |key, input, _| {
            if key == "keys" {
                self.breaker_keys = Some(attr::count(key, input, "keys = 20")?.base10_parse()?);
            } else if key == "pause" {
                self.breaker_pause = Some(Pause::read(key, input, "pause = \"5s\"")?);
            } else {
                self.breaker_max_pause = Some(Pause::read(key, input, "max_pause = \"1m\"")?);
            }
            Ok(())
        });
        Ok(())
    }

    /// Check a block's options by themselves.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        self.check_within(&Self::default(), diagnostics);
    }

    /// Check a handler's options together with what its block says. What the block alone gets wrong is not reported again.
    pub(crate) fn check_within(&self, block: &Self, diagnostics: &mut Diagnostics) {
        if self.initial.is_some() || self.max.is_some() {
            let retry = Growth {
                first: self.initial.as_ref().or(block.initial.as_ref()),
                longest: self.max.as_ref().or(block.max.as_ref()),
                longest_is_new: self.initial.is_none(),
            };
            retry.check(("initial", "max"), diagnostics);
        }
        if self.breaker_pause.is_some() || self.breaker_max_pause.is_some() {
            let breaker = Growth {
                first: self.breaker_pause.as_ref().or(block.breaker_pause.as_ref()),
                longest: self.breaker_max_pause.as_ref().or(block.breaker_max_pause.as_ref()),
                longest_is_new: self.breaker_pause.is_none(),
            };
            breaker.check(("pause", "max_pause"), diagnostics);
        }
        self.check_parking(block, diagnostics);
    }

    /// Only a key's own order can be kept while it is parked.
    fn check_parking(&self, block: &Self, diagnostics: &mut Diagnostics) {
        let (Some((action, action_literal)), Some((order, order_literal))) =
            (self.on_exhausted.as_ref().or(block.on_exhausted.as_ref()), self.order.as_ref().or(block.order.as_ref()))
        else {
            return;
        };
        let said_here = self.on_exhausted.is_some() || self.order.is_some();
        if said_here && *action == OnExhausted::ParkKey && *order != Order::Key {
            let message = format!(
                "\"park_key\" makes the events of one key wait, which needs `order = \"key\"`, not {:?}\n\
                 help: leave `order` out, or give such events up with `on_exhausted = \"dead_letter\"`",
                order_literal.value()
            );
            let place = if self.on_exhausted.is_some() { action_literal } else { order_literal };
            diagnostics.error(place, message);
        }
    }

    /// The value of a `tidings::dispatch::Policy`.
    pub(crate) fn to_tokens(&self, krate: &Path) -> TokenStream {
        let mut tokens = quote!(#krate::dispatch::Policy::INHERIT);
        let pauses = [
            (quote!(initial), &self.initial),
            (quote!(max), &self.max),
            (quote!(max_age), &self.max_age),
            (quote!(timeout), &self.timeout),
            (quote!(breaker_pause), &self.breaker_pause),
            (quote!(breaker_max_pause), &self.breaker_max_pause),
        ];
        let counts = [
            (quote!(max_attempts), self.max_attempts),
            (quote!(concurrency), self.concurrency),
            (quote!(rate), self.rate),
            (quote!(max_waiting), self.max_waiting),
            (quote!(breaker_keys), self.breaker_keys),
        ];
        for (setter, count) in counts {
            if let Some(count) = count {
                tokens.extend(quote!(.#setter(#count)));
            }
        }
        for (setter, pause) in pauses {
            if let Some(pause) = pause {
                let pause = pause.to_tokens();
                tokens.extend(quote!(.#setter(#pause)));
            }
        }
        if let Some((action, _)) = &self.on_exhausted {
            let action = match action {
                OnExhausted::DeadLetter => quote!(DeadLetter),
                OnExhausted::ParkKey => quote!(ParkKey),
                OnExhausted::Stop => quote!(Stop),
            };
            tokens.extend(quote!(.on_exhausted(#krate::dispatch::OnExhausted::#action)));
        }
        if let Some((order, _)) = &self.order {
            let order = match order {
                Order::Key => quote!(Key),
                Order::Partition => quote!(Partition),
                Order::Unordered => quote!(Unordered),
            };
            tokens.extend(quote!(.order(#krate::dispatch::DeliveryOrder::#order)));
        }
        tokens
    }
}
