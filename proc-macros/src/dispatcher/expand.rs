//! The `Dispatcher` of a faultless block: data, and one thin closure a route.
//!
//! Each piece has the span of what the user wrote that it depends on, so that the compiler's own errors point there. All pieces
//! that name a type have that type's span: the compiler then reports an unmet bound once.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericParam, Type};

use super::ast::{Block, Handler};
use super::run;

/// The implementation of `Dispatcher`.
pub(crate) fn expand(block: &Block) -> TokenStream {
    let krate = &block.options.krate;
    let ty = &block.item.self_ty;
    let (generics, _, where_clause) = block.item.generics.split_for_impl();
    let source = &block.options.source;
    let name = dispatcher_name(block);
    let policy = block.options.policy.to_tokens(krate);
    let routes = block.handlers.iter().map(|handler| route(block, handler));
    // An error about the implementation (a second block, a type that is not `Sync`) points to the type.
    let span = ty.span();
    let here = at(krate, span);
    let members = quote! {
        const SOURCE: &'static ::core::primitive::str = #source;
        const NAME: &'static ::core::primitive::str = #name;

        fn routes() -> #krate::dispatch::Routes<Self> {
            const __BLOCK: #krate::dispatch::Policy = #policy;
            #krate::dispatch::Routes::from([#(#routes),*])
        }
    };
    let implementation = quote_spanned!(span=> impl #generics #here::Dispatcher for #ty #where_clause { #members });
    quote! {
        #[automatically_derived]
        #implementation
    }
}

/// The path to the crate, or another of ours, at this place. What the user wrote otherwise keeps its place, and with it its meaning in a
/// `macro_rules!` macro.
pub(super) fn at(path: &impl ToTokens, span: Span) -> TokenStream {
    let tokens = path.to_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
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
    let versions = handler.options.version.as_ref().map_or_else(
        || quote!(#krate::dispatch::Versions::Any),
        |requirement| quote!(#krate::__private::versions(#requirement)),
    );
    let name = handler.name();
    let docs = &handler.docs;
    let policy = handler.options.policy.to_tokens(krate);
    let here = at(krate, payload.span());
    let (info, handle) = match &handler.options.batch {
        None => {
            let run = run::single(krate, handler, payload);
            let transactions = run::transactions(krate, handler, &quote!(FromDelivery));
            let info = quote_spanned!(payload.span()=> #here::__private::route_info::<#payload>);
            (quote!(#info(#event, #versions, #name, #docs, #policy, __BLOCK, #transactions)), quote!(Single(#run)))
        }
        Some(batch) => {
            let (run, batch) = (run::batch(krate, handler, payload), batch.to_tokens(krate));
            let transactions = run::transactions(krate, handler, &quote!(dispatch::FromDeliveries));
            let info = quote_spanned!(payload.span()=> #here::__private::batch_route_info::<#payload>);
            (
                quote!(#info(#event, #versions, #name, #docs, #policy, __BLOCK, #transactions, #batch)),
                quote!(Batch(#run)),
            )
        }
    };
    quote! {
        #(#conditions)*
        {
            #assertion
            #krate::dispatch::Route {
                info: #info,
                handle: #krate::dispatch::RouteHandle::#handle,
            }
        }
    }
}

/// A compile-time comparison of the payload's own event name with the one in `#[on]`.
fn payload_assertion(block: &Block, handler: &Handler, payload: &Type) -> TokenStream {
    let event = &handler.options.event;
    let name = handler.name();
    let here = at(&block.options.krate, event.span());
    if mentions_generics(block, payload) {
        // Only a block of the function itself may name its generics; it is evaluated once those are known.
        let beside_payload = at(&block.options.krate, payload.span());
        let payload_event = match handler.options.batch {
            None => quote!(#payload),
            Some(_) => quote_spanned!(payload.span()=> <#payload as #beside_payload::__private::Batch>::Event),
        };
        let payload_name = quote_spanned!(payload.span()=> <#payload_event as #beside_payload::Event>::NAME);
        return quote_spanned! {event.span()=>
            const { #here::__private::assert_payload(#payload_name, #event, #name) };
        };
    }
    let name_of = match handler.options.batch {
        None => quote_spanned!(event.span()=> NameOf),
        Some(_) => quote_spanned!(event.span()=> NameOfBatch),
    };
    // An item is evaluated even if nobody calls `routes`. It is checked apart from the function, so it would report a payload
    // that is no event a second time; `NameOf` has a name for every type instead.
    quote_spanned! {event.span()=>
        const _: () = {
            #[allow(unused_imports)]
            use #here::__private::AnyName as _;
            #here::__private::assert_payload(#here::__private::#name_of::<#payload>::NAME, #event, #name)
        };
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

pub(super) fn mentions(tokens: TokenStream, wanted: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => wanted(&ident),
        TokenTree::Group(group) => mentions(group.stream(), wanted),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
