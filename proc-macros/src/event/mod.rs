//! `#[derive(Event)]`: a struct with an Avro schema, a version and a key.

mod ast;
mod expand;
pub(crate) mod locate;
pub(crate) mod payload_rules;
mod rust_types;
pub(crate) mod schema;
pub(crate) mod schema_parse;
mod serde_attributes;
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
    let event = ast::Event::parse(&input, &mut diagnostics);
    let schema = validate::check(&event, &mut diagnostics);
    match schema {
        Some(schema) if diagnostics.is_empty() => expand::expand(&event, &schema),
        _ => expand::fallback(&event, &diagnostics),
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::derive;
    use crate::snapshot::{assert_hygienic, assert_no_identifier, assert_snapshot};

    #[test]
    fn a_struct_becomes_an_event() {
        let expansion = derive(quote! {
            #[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
            struct UserUpdated {
                #[event(key)]
                user_id: i64,
                nickname: Text,
            }
        });
        assert_hygienic(&expansion);
        assert_snapshot("event", expansion);
    }

    #[test]
    fn an_event_of_another_entity_with_a_renamed_crate_and_an_inline_schema() {
        let expansion = derive(quote! {
            #[event(name = "guilds.MemberJoined", version = "2.0.0-rc.1", entity = "Membership", crate = crate::events)]
            #[event(schema_inline = r#"{"type": "record", "name": "MemberJoined", "namespace": "guilds", "fields": [
                {"name": "guild", "type": "string"}, {"name": "member", "type": "long"}]}"#)]
            struct MemberJoined {
                #[event(key)]
                r#guild: Text,
                #[event(entity_id)]
                member: i64,
            }
        });
        assert_no_identifier(&expansion, "tidings");
        assert_hygienic(&expansion);
        assert_snapshot("event_entity", expansion);
    }

    #[test]
    fn a_faulty_struct_has_every_error_and_a_stub() {
        let expansion = derive(quote! {
            #[event(name = "UserUpdated", version = "1.3", schema = "schemas/accounts/nowhere.avsc")]
            struct UserUpdated { user_id: i64 }
        });
        assert_hygienic(&expansion);
        assert_snapshot("event_fallback", expansion);
    }
}
