//! The `Dispatcher` of a faultless block: data, and one thin closure a route.
//!
//! Each piece has the span of what the user wrote that it depends on, so that the compiler's own errors point there. All pieces
//! that name a type have that type's span: the compiler then reports an unmet bound once.

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
    // An error about the implementation (a second block, a type that is not `Sync`) points to the type.
    let span = ty.span();
    let here = path_at(krate, span);
    let members = quote! {
        const SOURCE: &'static ::core::primitive::str = #source;
        const NAME: &'static ::core::primitive::str = #name;

        fn routes() -> #krate::dispatch::Routes<Self> {
            #krate::dispatch::Routes::from([#(#routes),*])
        }
    };
    let implementation = quote_spanned!(span=> impl #generics #here::Dispatcher for #ty #where_clause { #members });
    quote! {
        #[automatically_derived]
        #implementation
    }
}

/// The path to the crate at this place. What the user wrote otherwise keeps its place, and with it its meaning in a
/// `macro_rules!` macro.
fn path_at(krate: &Path, span: Span) -> TokenStream {
    let tokens = krate.to_token_stream().into_iter();
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

/// The variables of a closure. They lie on the method, and have one hygiene wherever the tokens around them come from.
struct Variables {
    this: Ident,
    delivery: Ident,
    payload: Ident,
}

impl Variables {
    fn of(handler: &Handler) -> Self {
        let span = Span::call_site().located_at(handler.signature.ident.span());
        let variable = |name| Ident::new(name, span);
        Self { this: variable("__this"), delivery: variable("__delivery"), payload: variable("__payload") }
    }

    fn argument(index: usize) -> Ident {
        format_ident!("__argument_{index}")
    }
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
    let policy = handler.options.policy.or(&block.options.policy).to_tokens(krate);
    let uses_transaction = handler.parameters().skip(1).map(|parameter| {
        let (ty, conditions) = (&parameter.ty, conditions::of(&parameter.attrs));
        let here = path_at(krate, ty.span());
        let uses_it = quote_spanned!(ty.span()=> <#ty as #here::FromDelivery>::USES_TRANSACTION);
        quote!(#(#conditions)* #uses_it)
    });
    let run = run(krate, handler, payload);
    let here = path_at(krate, payload.span());
    let info = quote_spanned!(payload.span()=> #here::__private::route_info::<#payload>);
    quote! {
        #(#conditions)*
        {
            #assertion
            #krate::dispatch::Route {
                info: #info(#event, #versions, #name, #docs, #policy, &[#(#uses_transaction),*]),
                handle: #krate::dispatch::RouteHandle::Single(#run),
            }
        }
    }
}

/// A compile-time comparison of the payload's own event name with the one in `#[on]`.
fn payload_assertion(block: &Block, handler: &Handler, payload: &Type) -> TokenStream {
    let event = &handler.options.event;
    let name = handler.name();
    let here = path_at(&block.options.krate, event.span());
    if mentions_generics(block, payload) {
        // Only a block of the function itself may name its generics; it is evaluated once those are known.
        let beside_payload = path_at(&block.options.krate, payload.span());
        let payload_name = quote_spanned!(payload.span()=> <#payload as #beside_payload::Event>::NAME);
        return quote_spanned! {event.span()=>
            const { #here::__private::assert_payload(#payload_name, #event, #name) };
        };
    }
    // An item is evaluated even if nobody calls `routes`. It is checked apart from the function, so it would report a payload
    // that is no event a second time; `NameOf` has a name for every type instead.
    quote_spanned! {event.span()=>
        const _: () = {
            #[allow(unused_imports)]
            use #here::__private::AnyName as _;
            #here::__private::assert_payload(#here::__private::NameOf::<#payload>::NAME, #event, #name)
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

fn mentions(tokens: TokenStream, wanted: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => wanted(&ident),
        TokenTree::Group(group) => mentions(group.stream(), wanted),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The closure that runs the handler. It captures nothing, so it becomes a function pointer, of a generic type too.
fn run(krate: &Path, handler: &Handler, payload: &Type) -> TokenStream {
    let Variables { this, delivery, payload: payload_variable } = &Variables::of(handler);
    let here = path_at(krate, payload.span());
    let decode = quote_spanned!(payload.span()=> #here::__private::decode::<#payload>(&#delivery));
    let decode = taken(krate, payload_variable, payload.span(), &decode);
    let extractors = handler.parameters().skip(1).enumerate().map(|(index, parameter)| {
        let conditions = conditions::of(&parameter.attrs);
        let ty = &parameter.ty;
        let here = path_at(krate, ty.span());
        let extract = quote_spanned!(ty.span()=> <#ty as #here::FromDelivery>::from_delivery(&#delivery));
        let taken = taken(krate, &Variables::argument(index), ty.span(), &extract);
        quote!(#(#conditions)* #taken)
    });
    let outcome = outcome(krate, handler, this, payload_variable);
    let body = quote! {
        #decode
        #(#extractors)*
        #outcome
    };
    // A future that cannot move between threads is reported on the method.
    quote_spanned!(handler.signature.ident.span()=> |#this, #delivery| ::std::boxed::Box::pin(async move { #body }))
}

/// `let variable = future.await`, or the end of the delivery.
fn taken(krate: &Path, variable: &Ident, span: Span, future: &TokenStream) -> TokenStream {
    let (value, error) = (format_ident!("__value"), format_ident!("__error"));
    quote_spanned! {span=>
        let #variable = match #future.await {
            ::core::result::Result::Ok(#value) => #value,
            ::core::result::Result::Err(#error) => return #krate::Outcome::from(#error),
        };
    }
}

/// The call of the method, and its return value as an outcome: what is none is reported on the return type.
fn outcome(krate: &Path, handler: &Handler, this: &Ident, payload: &Ident) -> TokenStream {
    let method = &handler.signature.ident;
    let arguments = handler.parameters().skip(1).enumerate().map(|(index, parameter)| {
        let (argument, conditions) = (Variables::argument(index), conditions::of(&parameter.attrs));
        quote!(#(#conditions)* #argument)
    });
    let call = quote_spanned!(method.span()=> Self::#method(&#this, #payload #(, #arguments)*).await);
    let (span, receiver) = match &handler.signature.output {
        ReturnType::Default => (method.span(), None),
        // An opaque type has no name to write here.
        ReturnType::Type(_, ty) if mentions(ty.to_token_stream(), &|ident| ident == "impl") => (ty.span(), None),
        ReturnType::Type(_, ty) => (ty.span(), Some(ty)),
    };
    let here = path_at(krate, span);
    let convert = match receiver {
        None => quote_spanned!(span=> #here::IntoOutcome::into_outcome),
        Some(ty) => quote_spanned!(span=> <#ty as #here::IntoOutcome>::into_outcome),
    };
    quote!(#convert(#call))
}
