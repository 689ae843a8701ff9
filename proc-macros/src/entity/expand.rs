//! The implementation of `Entity`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use super::ast::{Entity, Field, KeyMarker, Kind};
use super::statements::Statements;
use crate::diagnostics::Diagnostics;

/// The implementation for a faultless struct.
pub(crate) fn expand(entity: &Entity<'_>, (key, marker): (&Field<'_>, &KeyMarker<'_>)) -> TokenStream {
    let krate = &entity.krate;
    let ident = &entity.input.ident;
    let (key_ident, key_type) = (key.ident, marker.borrowed.as_ref().unwrap_or(key.ty));
    // On the type, so that one that cannot be a key is reported there.
    let key_span = key_type.span().resolved_at(Span::call_site());
    let borrow = match &marker.borrowed {
        None => quote!(&self.#key_ident),
        Some(borrowed) => quote_spanned!(key_span=> ::std::borrow::Borrow::<#borrowed>::borrow(&self.#key_ident)),
    };
    let Statements { load, load_for_update, insert, update, delete, delete_version } = Statements::of(entity);
    let Parts { add_columns, add_key, read } = Parts::of(entity, key);
    let deletes = entity.delete;
    let delete_impl = entity.delete.then(|| {
        quote! {
            #[automatically_derived]
            impl #krate::database::DeleteEntity for #ident {
                fn delete(
                    &self,
                    connection: #krate::database::Connection<'_>,
                    expected: ::core::option::Option<::core::primitive::u64>,
                ) -> impl ::core::future::Future<
                    Output = ::core::result::Result<#krate::database::Saved, #krate::database::sqlx::Error>,
                > + ::core::marker::Send {
                    #krate::__private::entity::delete(self, connection, expected)
                }
            }
        }
    });
    let signatures = Signatures::of(entity);
    let (load_signature, load_for_update_signature, save_signature) =
        (&signatures.load, &signatures.load_for_update, &signatures.save);
    quote! {
        #[automatically_derived]
        impl #krate::database::Entity for #ident {
            type Key = #key_type;

            fn key(&self) -> &Self::Key {
                #borrow
            }

            #load_signature {
                #krate::__private::entity::load::<Self>(connection, key)
            }

            #load_for_update_signature {
                #krate::__private::entity::load_for_update::<Self>(connection, key)
            }

            #save_signature {
                #krate::__private::entity::save(self, connection, expected)
            }
        }

        #delete_impl

        #[automatically_derived]
        impl #krate::__private::entity::Table for #ident {
            const STATEMENTS: #krate::__private::entity::Statements = #krate::__private::entity::Statements {
                load: #load,
                load_for_update: #load_for_update,
                insert: #insert,
                update: #update,
                delete: #delete,
                delete_version: #delete_version,
                deletes: #deletes,
            };

            fn add_columns(
                &self,
                values: &mut #krate::__private::entity::Values,
            ) -> ::core::result::Result<(), #krate::database::sqlx::Error> {
                #(#add_columns)*
                ::core::result::Result::Ok(())
            }

            fn add_key(
                key: &Self::Key,
                values: &mut #krate::__private::entity::Values,
            ) -> ::core::result::Result<(), #krate::database::sqlx::Error> {
                #(#add_key)*
                ::core::result::Result::Ok(())
            }

            fn read(
                row: &#krate::__private::entity::Row,
            ) -> ::core::result::Result<Self, #krate::database::sqlx::Error> {
                ::core::result::Result::Ok(Self { #(#read)* })
            }
        }
    }
}

/// What reads and writes the fields, in the order of the statements' columns.
struct Parts {
    add_columns: Vec<TokenStream>,
    add_key: Vec<TokenStream>,
    read: Vec<TokenStream>,
}

impl Parts {
    fn of(entity: &Entity<'_>, key: &Field<'_>) -> Self {
        let (add, get) = access(entity.kind);
        let mut index = 0_usize;
        let mut get = |column: &str, ty: Option<&Type>| {
            let span = ty.map_or_else(Span::call_site, |ty| ty.span().resolved_at(Span::call_site()));
            let ty = ty.map(|ty| quote!(::<#ty>));
            let read = quote_spanned!(span=> row.#get #ty(#index, #column)?);
            index += 1;
            read
        };
        let (mut add_columns, mut read) = (Vec::new(), Vec::new());
        for field in entity.fields.iter().filter(|field| field.key.is_none()) {
            let (ident, ty, column) = (field.ident, field.ty, field.column());
            // On the field's type, so that a type that cannot be a column is reported there.
            let span = ty.span().resolved_at(Span::call_site());
            add_columns.push(quote_spanned!(span=> values.#add::<#ty>(&self.#ident)?;));
            let value = get(&column, Some(ty));
            read.push(quote!(#ident: #value,));
        }
        let (ident, ty) = (key.ident, key.ty);
        let mut add_key = Vec::new();
        if let Some(several) = &key.columns {
            let fields = several.columns.iter().map(|column| {
                let field = &column.field;
                add_key.push(quote!(values.#add(&key.#field)?;));
                let value = get(&column.column(), None);
                quote!(#field: #value,)
            });
            let fields: Vec<_> = fields.collect();
            read.push(quote!(#ident: #ty { #(#fields)* },));
        } else {
            let span = ty.span().resolved_at(Span::call_site());
            add_key.push(quote_spanned!(span=> values.#add::<Self::Key>(key)?;));
            let value = get(&key.column(), Some(ty));
            read.push(quote!(#ident: #value,));
        }
        Self { add_columns, add_key, read }
    }
}

/// What adds a value and what reads one.
fn access(kind: Kind) -> (Ident, Ident) {
    let suffix = match kind {
        Kind::All => "",
        Kind::MySql => "_mysql",
        Kind::Sqlite => "_sqlite",
    };
    (format_ident!("add{suffix}"), format_ident!("get{suffix}"))
}

struct Signatures {
    load: TokenStream,
    load_for_update: TokenStream,
    save: TokenStream,
}

impl Signatures {
    fn of(entity: &Entity<'_>) -> Self {
        let krate = &entity.krate;
        let future = |output: &TokenStream| {
            quote! {
                impl ::core::future::Future<
                    Output = ::core::result::Result<#output, #krate::database::sqlx::Error>,
                > + ::core::marker::Send
            }
        };
        let loaded = future(&quote!(::core::option::Option<#krate::database::Versioned<Self>>));
        let saved = future(&quote!(#krate::database::Saved));
        let load = |name: &str| {
            let name = format_ident!("{name}");
            quote!(fn #name(connection: #krate::database::Connection<'_>, key: &Self::Key) -> #loaded)
        };
        Self {
            load: load("load"),
            load_for_update: load("load_for_update"),
            save: quote! {
                fn save(
                    &self,
                    connection: #krate::database::Connection<'_>,
                    expected: ::core::option::Option<::core::primitive::u64>,
                ) -> #saved
            },
        }
    }
}

/// The errors, and an `Entity` for the rest of the crate to resolve.
pub(crate) fn fallback(entity: &Entity<'_>, diagnostics: &Diagnostics) -> TokenStream {
    let errors = diagnostics.to_compile_errors();
    if !entity.input.generics.params.is_empty() {
        return errors;
    }
    let (krate, ident) = (&entity.krate, &entity.input.ident);
    let key = entity.key().map(|(field, marker)| marker.borrowed.as_ref().unwrap_or(field.ty));
    let key = key.map_or_else(|| quote!(::core::primitive::str), |ty| quote!(#ty));
    let signatures = Signatures::of(entity);
    let (load, save) = (&signatures.load, &signatures.save);
    quote! {
        #errors

        #[automatically_derived]
        impl #krate::database::Entity for #ident {
            type Key = #key;

            fn key(&self) -> &Self::Key {
                ::core::unreachable!()
            }

            #[allow(unused_variables)]
            #load {
                ::core::future::pending()
            }

            #[allow(unused_variables)]
            #save {
                ::core::future::pending()
            }
        }
    }
}
