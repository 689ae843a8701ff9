//! `#[derive(Event)]`: a struct with an Avro schema, a version and a key.

mod ast;
pub(crate) mod debug;
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
        Some((text, schema)) if diagnostics.is_empty() => {
            let (mut tokens, debug) = (expand::expand(&event, &text), debug::expand(&event, &schema.record));
            tokens.extend(debug);
            tokens
        }
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

    /// The expansion of a struct with these options, without spaces.
    fn debug_of(options: &proc_macro2::TokenStream) -> String {
        let expansion = derive(quote! {
            #[event(name = "accounts.Moved", version = "1.0.0", #options)]
            #[event(schema_inline = r#"{"type": "record", "name": "Moved", "namespace": "accounts", "fields": [
                {"name": "user_id", "type": "long"},
                {"name": "mail", "type": "string", "pii": true},
                {"name": "home", "type": {"type": "record", "name": "Home", "fields": [
                    {"name": "street", "type": "string", "pii": true},
                    {"name": "next", "type": ["null", "Home"], "default": null}]}},
                {"name": "former", "type": {"type": "array", "items": "Home"}}]}"#)]
            struct Moved {
                #[event(key)]
                user_id: i64,
                mail: Text,
                home: Home,
                former: Homes,
            }
        });
        assert_hygienic(&expansion);
        expansion.to_string().replace(char::is_whitespace, "")
    }

    #[test]
    fn a_masked_debug_shows_no_field_that_is_marked_or_holds_one_that_is() {
        let text = debug_of(&quote!(debug));
        assert!(text.contains(r#".field("user_id",&self.user_id)"#), "{text}");
        for field in ["mail", "home", "former"] {
            assert!(text.contains(&format!(r#".field("{field}",&::core::format_args!("***"))"#)), "{field}: {text}");
        }
    }

    #[test]
    fn without_a_word_about_debug_there_must_be_none_where_something_is_marked() {
        assert!(debug_of(&quote!()).contains("assert_hidden"));
        let own = debug_of(&quote!(debug = "own"));
        assert!(!own.contains("assert_hidden") && !own.contains("debug_struct"), "{own}");
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
