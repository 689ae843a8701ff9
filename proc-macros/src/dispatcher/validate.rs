//! The rules of a block and of a handler's signature. What needs types is left to trait bounds in the generated code.

use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{FnArg, GenericParam, PatType, Receiver, ReceiverKind, Safety, Type, TypeImplTrait};

use super::ast::{Block, Handler};
use super::conditions;
use crate::diagnostics::Diagnostics;

/// Check everything but overlaps.
pub(crate) fn check(block: &Block, diagnostics: &mut Diagnostics) {
    check_block(block, diagnostics);
    block.options.policy.check(diagnostics);
    for handler in &block.handlers {
        check_receiver(handler, diagnostics);
        check_qualifiers(handler, diagnostics);
        check_parameters(handler, diagnostics);
        if let (Some(_), Some(field)) = (&handler.options.batch, &handler.options.shard) {
            let message = "a batch has one transaction for all of its events, on the shard of their keys\n\
                           help: leave `shard` out, or handle one event at a time";
            diagnostics.error(field, message);
        }
        handler.options.policy.check_within(&block.options.policy, diagnostics);
    }
}

fn check_block(block: &Block, diagnostics: &mut Diagnostics) {
    let ty = &block.item.self_ty;
    if block.type_name().is_none() {
        diagnostics.error(ty, "`#[dispatcher]` needs a named type of this crate\nhelp: `impl Leaderboards { … }`");
    }
    if let Some(lifetime) = block.lifetime() {
        let message = "a dispatcher cannot borrow: its handlers run in tasks of their own, for as long as the consumer runs\n\
                       help: let it own its fields, or share them in an `Arc`";
        diagnostics.error(lifetime, message);
    }
    if !block.has_markers && diagnostics.is_empty() {
        let calls_macros = block.item.items.iter().any(|item| matches!(item, syn::ImplItem::Macro(_)));
        let help = if calls_macros {
            "note: methods made by a `macro_rules!` call inside the block are not visible here\n\
             help: let the macro write the whole block instead"
        } else {
            "help: annotate one: `#[on(\"accounts.UserUpdated\")] async fn on_user_updated(&self, event: UserUpdated)`"
        };
        diagnostics.error(ty, format!("no `#[on]` method in this block: it would handle nothing\n{help}"));
    }
}

fn check_receiver(handler: &Handler, diagnostics: &mut Diagnostics) {
    let help = "handlers take `&self`: deliveries of different keys run at the same time and share the dispatcher";
    match handler.signature.receiver() {
        Some(Receiver { kind: ReceiverKind::Reference(_, None, None), .. }) => {}
        // Its lifetime is a generic parameter, which is reported as such.
        Some(Receiver { kind: ReceiverKind::Reference(_, Some(lifetime), None), .. }) if lifetime.ident != "static" => {
        }
        Some(receiver @ Receiver { kind: ReceiverKind::Reference(_, _, Some(_)), .. }) => {
            diagnostics.error(
                receiver,
                format!("{help}\nhelp: change state behind a `Mutex`, an atomic or a channel instead of `&mut self`"),
            );
        }
        Some(receiver) => diagnostics.error(receiver, format!("{help}\nhelp: write `&self`")),
        None => {
            diagnostics.error(&handler.signature.ident, format!("{help}\nhelp: make `&self` the first parameter"));
        }
    }
}

fn check_qualifiers(handler: &Handler, diagnostics: &mut Diagnostics) {
    let signature = &handler.signature;
    if signature.asyncness.is_none() {
        let message = format!(
            "handlers are `async`: a consumer runs many of them on few threads\nhelp: `async fn {}`",
            signature.ident
        );
        diagnostics.error(signature.fn_token, message);
    }
    if let Safety::Unsafe(token) = &signature.safety {
        diagnostics.error(token, "handlers cannot be `unsafe`: the consumer calls them, and it can promise nothing");
    }
    if let Some(abi) = &signature.abi {
        diagnostics.error(abi, "handlers are plain `async fn`");
    }
    if !signature.generics.params.is_empty() {
        let lifetimes_only = signature.generics.params.iter().all(|p| matches!(p, GenericParam::Lifetime(_)));
        let help = if lifetimes_only {
            "help: take parameters by value; they are the handler's own"
        } else {
            "help: name the types, or make the impl block generic: `impl<S: Store> Leaderboards<S>`"
        };
        let message = format!("handlers cannot be generic: a route has one payload type\n{help}");
        diagnostics.error(&signature.generics, message);
    }
}

fn check_parameters(handler: &Handler, diagnostics: &mut Diagnostics) {
    let mut parameters = handler.parameters().peekable();
    if parameters.peek().is_none() {
        let message = format!(
            "`{name}` takes no payload: the first parameter after `&self` is the event\n\
             help: `async fn {name}(&self, event: UserUpdated)`; behind it any number of values taken from the delivery, \
             such as `message: Message`",
            name = handler.name(),
        );
        diagnostics.error(&handler.signature.ident, message);
    }
    if let Some(condition) = parameters.peek().and_then(|payload| conditions::find(&payload.attrs)) {
        let message = "the payload cannot be conditional\nhelp: write two methods, each with its `#[cfg(..)]`";
        diagnostics.error(condition, message);
    }
    for parameter in parameters {
        check_parameter(parameter, diagnostics);
    }
}

fn check_parameter(parameter: &PatType, diagnostics: &mut Diagnostics) {
    if let Type::Reference(reference) = &*parameter.ty {
        let inner = reference.elem.to_token_stream();
        let message = format!(
            "handlers own their parameters: they may outlive the record they came from\nhelp: take `{inner}` by value"
        );
        diagnostics.error(&parameter.ty, message);
        return;
    }
    let mut finder = ImplTraits(Vec::new());
    finder.visit_type(&parameter.ty);
    for found in finder.0 {
        let message = "handlers cannot take `impl Trait`: a route has one payload type\n\
                       help: name the type, or make the impl block generic";
        diagnostics.error(found, message);
    }
}

struct ImplTraits<'a>(Vec<&'a TypeImplTrait>);

impl<'a> Visit<'a> for ImplTraits<'a> {
    fn visit_type_impl_trait(&mut self, found: &'a TypeImplTrait) {
        self.0.push(found);
    }
}

impl Handler {
    /// The parameters behind the receiver.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &PatType> {
        self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        })
    }
}
