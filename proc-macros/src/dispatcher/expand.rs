//! The `Dispatcher` of a faultless block: data, and one thin closure a route.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericParam, Path, ReturnType, Type};

use super::ast::{Block, Handler};
use super::conditions;

/// The implementation of `Dispatcher`.
pub(crate) fn expand(block: &Block) -> TokenStream {
    let krate = &block.options.krate;
    let ty = &block.item.self_ty;
    let (generics, _, where_clause) = block.item.generics.split_for_impl();
    let source = &block.options.source;
    let name = dispatcher_name(block);
    let routes = block.handlers.iter().map(|handler| route(block, handler));
    // On the type, so that an error about the implementation (a second block, a type that is not `Sync`) points there.
    let header = quote_spanned!(at(ty.span())=> impl #generics #krate::Dispatcher for #ty #where_clause);
    quote! {
        #[automatically_derived]
        #header {
            const SOURCE: &'static ::core::primitive::str = #source;
            const NAME: &'static ::core::primitive::str = #name;

            fn routes() -> #krate::dispatch::Routes<Self> {
                #krate::dispatch::Routes::from([#(#routes),*])
            }
        }
    }
}

/// The place of `span`, with names resolved where the macro was called.
fn at(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}

fn dispatcher_name(block: &Block) -> String {
    use syn::ext::IdentExt as _;
    let from_type = || block.type_name().map(|name| name.unraw().to_string()).unwrap_or_default();
    block.options.name.as_ref().map_or_else(from_type, syn::LitStr::value)
}

fn route(block: &Block, handler: &Handler) -> TokenStream {
    let Some(payload) = handler.parameters().next().map(|parameter| &*parameter.ty) else {
        return TokenStream::new();
    };
    let krate = &block.options.krate;
    let conditions = &handler.conditions;
    let assertion = payload_assertion(block, handler, payload);
    let event = &handler.options.event;
    let versions = match &handler.options.version {
        Some(requirement) => quote!(#krate::__private::versions(#requirement)),
        None => quote!(#krate::dispatch::Versions::Any),
    };
    let name = handler.name();
    let docs = &handler.docs;
    let policy = handler.options.policy.or(&block.options.policy).to_tokens(krate);
    let run = run(krate, handler, payload);
    quote! {
        #(#conditions)*
        {
            #assertion
            #krate::dispatch::Route {
                info: #krate::__private::route_info::<#payload>(#event, #versions, #name, #docs, #policy),
                handle: #run,
            }
        }
    }
}

/// A compile-time comparison of the payload's own event name with the one in `#[on]`.
fn payload_assertion(block: &Block, handler: &Handler, payload: &Type) -> TokenStream {
    let krate = &block.options.krate;
    let event = &handler.options.event;
    let name = handler.name();
    let span = at(event.span());
    let call = quote_spanned!(span=> #krate::__private::assert_payload::<#payload>(#event, #name));
    if mentions_generics(block, payload) {
        // Only a block of the function itself may name its generics; it is evaluated once those are known.
        quote_spanned!(span=> const { #call };)
    } else {
        // An item is evaluated even if nobody calls `routes`.
        quote_spanned!(span=> const _: () = #call;)
    }
}

fn mentions_generics(block: &Block, ty: &Type) -> bool {
    let parameters = block.item.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    let names: Vec<_> = parameters.collect();
    mentions(ty.to_token_stream(), &|ident| ident == "Self" || names.contains(&ident))
}

fn mentions(tokens: TokenStream, wanted: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => wanted(&ident),
        TokenTree::Group(group) => mentions(group.stream(), wanted),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The closure that runs the handler. It captures nothing, so it becomes a function pointer, of a generic type too.
fn run(krate: &Path, handler: &Handler, payload: &Type) -> TokenStream {
    let method = &handler.signature.ident;
    let extractors = handler.parameters().skip(1).enumerate().map(|(index, parameter)| {
        let (binding, ty) = (format_ident!("__argument_{index}"), &parameter.ty);
        let conditions = conditions::of(&parameter.attrs);
        // On the parameter's type, so that a type that is no extractor is reported there.
        let extract = quote_spanned!(at(ty.span())=> <#ty as #krate::FromDelivery>::from_delivery(&__delivery));
        quote! {
            #(#conditions)*
            let #binding = match #extract.await {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__error) => return #krate::Outcome::from(__error),
            };
        }
    });
    let bindings = handler.parameters().skip(1).enumerate().map(|(index, parameter)| {
        let (binding, conditions) = (format_ident!("__argument_{index}"), conditions::of(&parameter.attrs));
        quote!(#(#conditions)* #binding)
    });
    let call = quote_spanned!(at(method.span())=> Self::#method(&__this, __payload #(, #bindings)*).await);
    let outcome = outcome(krate, handler, &call);
    let body = quote! {
        let __payload = match #krate::__private::decode::<#payload>(&__delivery).await {
            ::core::result::Result::Ok(__value) => __value,
            ::core::result::Result::Err(__error) => return #krate::Outcome::from(__error),
        };
        #(#extractors)*
        #outcome
    };
    // On the method, so that a future that cannot move between threads is reported there.
    quote_spanned!(at(method.span())=> |__this, __delivery| ::std::boxed::Box::pin(async move { #body }))
}

/// The handler's return value as an outcome. On the return type, so that a type that is none is reported there.
fn outcome(krate: &Path, handler: &Handler, call: &TokenStream) -> TokenStream {
    match &handler.signature.output {
        ReturnType::Default => {
            let span = at(handler.signature.ident.span());
            quote_spanned!(span=> #krate::IntoOutcome::into_outcome(#call))
        }
        ReturnType::Type(_, ty) if mentions(ty.to_token_stream(), &|ident| ident == "impl") => {
            quote_spanned!(at(ty.span())=> #krate::IntoOutcome::into_outcome(#call))
        }
        ReturnType::Type(_, ty) => {
            quote_spanned!(at(ty.span())=> <#ty as #krate::IntoOutcome>::into_outcome(#call))
        }
    }
}
