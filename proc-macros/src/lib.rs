//! The attribute macros of tidings; use them through the `tidings` crate, which documents them.
//!
//! Each macro is a small compiler: `ast` parses, `validate` checks, `expand` quotes, and `fallback` writes what keeps the
//! rest of the user's crate compiling when there are errors. Types are checked by trait bounds in the generated code, never
//! by the text of a name, so aliases and re-exports work.

mod attr;
mod debug;
mod diagnostics;
mod dispatcher;
mod duration;
mod entity;
mod event;
mod events;
mod names;
mod on;
#[cfg(test)]
mod snapshot;
mod version_req;

use proc_macro::TokenStream;

#[allow(missing_docs, reason = "documented where the `tidings` crate re-exports it")]
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    debug::printed("derive(Event)", event::derive(input.into())).into()
}

#[allow(missing_docs, reason = "documented where the `tidings` crate re-exports it")]
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    debug::printed("derive(Entity)", entity::derive(input.into())).into()
}

#[allow(missing_docs, reason = "documented where the `tidings` crate re-exports it")]
#[proc_macro]
pub fn events(input: TokenStream) -> TokenStream {
    debug::printed("events!", events::types_of(input.into())).into()
}

#[allow(missing_docs, reason = "documented where the `tidings` crate re-exports it")]
#[proc_macro_attribute]
pub fn dispatcher(arguments: TokenStream, item: TokenStream) -> TokenStream {
    debug::printed("dispatcher", dispatcher::attribute(arguments.into(), item.into())).into()
}

#[allow(missing_docs, reason = "documented where the `tidings` crate re-exports it")]
#[proc_macro_attribute]
pub fn on(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    on::stray(&item.into()).into()
}
