//! The closure of a route: it decodes, takes what else the handler wants, and calls the method. It captures nothing, so it
//! becomes a function pointer, of a generic type too.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Path, ReturnType, Type};

use super::ast::Handler;
use super::conditions;
use super::expand::{at, mentions};

/// The variables of a closure. They lie on the method, and have one hygiene wherever the tokens around them come from.
struct Variables {
    this: Ident,
    /// A delivery, or those of a batch.
    delivery: Ident,
    payload: Ident,
    /// Where the outcomes of a batch go.
    places: Ident,
}

impl Variables {
    fn of(handler: &Handler) -> Self {
        let span = Span::call_site().located_at(handler.signature.ident.span());
        let variable = |name| Ident::new(name, span);
        Self {
            this: variable("__this"),
            delivery: variable("__delivery"),
            payload: variable("__payload"),
            places: variable("__places"),
        }
    }

    fn argument(index: usize) -> Ident {
        format_ident!("__argument_{index}")
    }
}

/// The closure of a handler of single events.
pub(super) fn single(krate: &Path, handler: &Handler, payload: &Type) -> TokenStream {
    let variables = Variables::of(handler);
    let Variables { this, delivery, payload: payload_variable, .. } = &variables;
    let failed = |error: &Ident| quote!(#krate::Outcome::from(#error));
    let here = at(krate, payload.span());
    let decode = quote_spanned!(payload.span()=> #here::__private::decode::<#payload>(&#delivery));
    let decode = taken(payload_variable, payload.span(), &decode, &failed);
    let extractors = extractors(krate, handler, &quote!(FromDelivery), &quote!(from_delivery(&#delivery)), &failed);
    let shard = handler.options.shard.as_ref().map(|field| {
        let here = at(krate, field.span());
        // The variables keep their hygiene: only the place is the field's.
        quote_spanned!(field.span()=> #here::__private::shard_by(&#delivery, &#payload_variable.#field);)
    });
    let call = call(handler, &variables);
    let (convert, span) = conversion(krate, handler, &quote!(IntoOutcome), &quote!(into_outcome));
    let outcome = quote_spanned!(span=> #convert(#call));
    closure(handler, &quote!(#this, #delivery), &quote!(#decode #shard #extractors #outcome))
}

/// The closure of a handler of batches.
pub(super) fn batch(krate: &Path, handler: &Handler, payload: &Type) -> TokenStream {
    let variables = Variables::of(handler);
    let Variables { this, delivery, payload: payload_variable, places } = &variables;
    let failed = |error: &Ident| quote!(#places.fail(#error));
    let here = at(krate, payload.span());
    let decode = quote_spanned! {payload.span()=>
        let (#payload_variable, #delivery, #places) = match #here::__private::decode_batch::<#payload>(#delivery).await {
            ::core::result::Result::Ok(__value) => __value,
            ::core::result::Result::Err(__outcomes) => return __outcomes,
        };
    };
    let extract = quote!(from_deliveries(&#delivery));
    let extractors = extractors(krate, handler, &quote!(dispatch::FromDeliveries), &extract, &failed);
    let call = call(handler, &variables);
    let (convert, span) = conversion(krate, handler, &quote!(dispatch::IntoOutcomes), &quote!(into_outcomes));
    let outcomes = quote_spanned!(span=> let __outcomes = #convert(#call, #places.events()););
    closure(handler, &quote!(#this, #delivery), &quote!(#decode #extractors #outcomes #places.fill(__outcomes)))
}

/// Of each of the handler's extractors, whether it opens a transaction.
pub(super) fn transactions(krate: &Path, handler: &Handler, extractor: &TokenStream) -> TokenStream {
    let uses_it = handler.parameters().skip(1).map(|parameter| {
        let (ty, conditions) = (&parameter.ty, conditions::of(&parameter.attrs));
        let (here, extractor) = (at(krate, ty.span()), at(extractor, ty.span()));
        let uses_it = quote_spanned!(ty.span()=> <#ty as #here::#extractor>::USES_TRANSACTION);
        quote!(#(#conditions)* #uses_it)
    });
    quote!(&[#(#uses_it),*])
}

fn closure(handler: &Handler, parameters: &TokenStream, body: &TokenStream) -> TokenStream {
    // A future that cannot move between threads is reported on the method.
    quote_spanned!(handler.signature.ident.span()=> |#parameters| ::std::boxed::Box::pin(async move { #body }))
}

/// What is taken from the delivery, or the deliveries, behind the payload.
fn extractors(
    krate: &Path,
    handler: &Handler,
    extractor: &TokenStream,
    extract: &TokenStream,
    failed: &dyn Fn(&Ident) -> TokenStream,
) -> TokenStream {
    let parameters = handler.parameters().skip(1).enumerate();
    let take = |(index, parameter): (usize, &syn::PatType)| {
        let conditions = conditions::of(&parameter.attrs);
        let ty = &parameter.ty;
        let (here, extractor, extract) = (at(krate, ty.span()), at(extractor, ty.span()), at(extract, ty.span()));
        let extract = quote_spanned!(ty.span()=> <#ty as #here::#extractor>::#extract);
        let taken = taken(&Variables::argument(index), ty.span(), &extract, failed);
        quote!(#(#conditions)* #taken)
    };
    parameters.map(take).collect()
}

/// `let variable = future.await`, or the end of the delivery.
fn taken(variable: &Ident, span: Span, future: &TokenStream, failed: &dyn Fn(&Ident) -> TokenStream) -> TokenStream {
    let (value, error) = (format_ident!("__value"), format_ident!("__error"));
    let failed = failed(&error);
    quote_spanned! {span=>
        let #variable = match #future.await {
            ::core::result::Result::Ok(#value) => #value,
            ::core::result::Result::Err(#error) => return #failed,
        };
    }
}

/// The call of the method.
fn call(handler: &Handler, variables: &Variables) -> TokenStream {
    let Variables { this, payload, .. } = variables;
    let method = &handler.signature.ident;
    let arguments = handler.parameters().skip(1).enumerate().map(|(index, parameter)| {
        let (argument, conditions) = (Variables::argument(index), conditions::of(&parameter.attrs));
        quote!(#(#conditions)* #argument)
    });
    quote_spanned!(method.span()=> Self::#method(&#this, #payload #(, #arguments)*).await)
}

/// What turns the return value into outcomes, and its place: what is no outcome is reported on the return type.
fn conversion(krate: &Path, handler: &Handler, outcome: &TokenStream, method: &TokenStream) -> (TokenStream, Span) {
    let (span, receiver) = match &handler.signature.output {
        ReturnType::Default => (handler.signature.ident.span(), None),
        // An opaque type has no name to write here.
        ReturnType::Type(_, ty) if mentions(ty.to_token_stream(), &|ident| ident == "impl") => (ty.span(), None),
        ReturnType::Type(_, ty) => (ty.span(), Some(ty)),
    };
    let (here, outcome, method) = (at(krate, span), at(outcome, span), at(method, span));
    let convert = match receiver {
        None => quote_spanned!(span=> #here::#outcome::#method),
        Some(ty) => quote_spanned!(span=> <#ty as #here::#outcome>::#method),
    };
    (convert, span)
}
