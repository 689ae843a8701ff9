//! `#[derive(Entity)]`: a struct that is a row of a table, with a key and a version.

mod ast;
mod expand;
mod statements;
mod validate;

use proc_macro2::TokenStream;

use crate::diagnostics::Diagnostics;

/// The expansion of the derive.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::new();
    let input = match syn::parse2::<syn::DeriveInput>(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let entity = ast::Entity::parse(&input, &mut diagnostics);
    validate::check(&entity, &mut diagnostics);
    match entity.key() {
        Some(key) if diagnostics.is_empty() => expand::expand(&entity, key),
        _ => expand::fallback(&entity, &diagnostics),
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::derive;
    use crate::snapshot::{assert_hygienic, assert_no_identifier, assert_snapshot};

    #[test]
    fn a_struct_becomes_an_entity() {
        let expansion = derive(quote! {
            #[entity(table = "account")]
            struct Account {
                #[entity(key)]
                id: i64,
                nickname: Text,
            }
        });
        assert_hygienic(&expansion);
        assert_snapshot("entity", expansion);
    }

    #[test]
    fn an_entity_with_every_option_and_a_renamed_crate() {
        let expansion = derive(quote! {
            #[entity(table = "clubs.membership", version = "row_version", database = "mysql", delete)]
            #[entity(crate = crate::events)]
            struct Membership {
                #[entity(key, columns(guild, member = "member_id"))]
                r#id: MembershipId,
                #[entity(column = "order")]
                rank: Number,
                r#type: Text,
            }
        });
        assert_no_identifier(&expansion, "tidings");
        assert_hygienic(&expansion);
        assert_snapshot("entity_options", expansion);
    }

    #[test]
    fn an_entity_that_is_found_by_a_borrowed_key() {
        let expansion = derive(quote! {
            #[entity(table = "account")]
            struct Account {
                #[entity(key = text)]
                id: Text,
            }
        });
        assert_hygienic(&expansion);
        assert_snapshot("entity_borrowed_key", expansion);
    }

    #[test]
    fn a_faulty_struct_has_every_error_and_a_stub() {
        let expansion = derive(quote! {
            #[entity(table = "a`b", delete)]
            struct Account { id: i64 }
        });
        assert_hygienic(&expansion);
        assert_snapshot("entity_fallback", expansion);
    }
}
