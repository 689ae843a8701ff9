//! Names of a schema as Rust writes them.

use proc_macro2::{Ident, Span};

/// `name` as an identifier: raw where it is a keyword, and with a `_` where it cannot even be that.
pub(super) fn identifier(name: &str, span: Span) -> Ident {
    if syn::parse_str::<Ident>(name).is_ok() {
        return Ident::new(name, span);
    }
    match name {
        "self" | "Self" | "super" | "crate" | "_" => Ident::new(&format!("{name}_"), span),
        keyword => Ident::new_raw(keyword, span),
    }
}

/// `userId` and `UserID` as `user_id`.
pub(super) fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(index + 1);
        let begins = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase)
            });
        if begins {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// `GOLD_TIER` and `goldTier` as `GoldTier`.
pub(super) fn upper_camel_case(name: &str) -> String {
    let parts = name.split('_').filter(|part| !part.is_empty());
    let camel: String = parts
        .map(|part| {
            let shouted = !part.chars().any(|character| character.is_ascii_lowercase());
            let mut characters = part.chars();
            let first = characters.next().map(|first| first.to_ascii_uppercase());
            let rest = characters.as_str();
            let rest = if shouted { rest.to_ascii_lowercase() } else { rest.to_owned() };
            first.into_iter().chain(rest.chars()).collect::<String>()
        })
        .collect();
    // A symbol of underscores and digits is no name without them.
    if camel.starts_with(|first: char| first.is_ascii_alphabetic()) { camel } else { format!("_{camel}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_rust_expects() {
        for (name, snake) in [
            ("user_id", "user_id"),
            ("userId", "user_id"),
            ("UserID", "user_id"),
            ("HTTPCode", "http_code"),
            ("a1B", "a1_b"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
        for (name, camel) in [
            ("GOLD", "Gold"),
            ("GOLD_TIER", "GoldTier"),
            ("goldTier", "GoldTier"),
            ("gold", "Gold"),
            ("_1", "_1"),
            ("A", "A"),
        ] {
            assert_eq!(upper_camel_case(name), camel);
        }
    }

    #[test]
    fn keywords_are_escaped() {
        let name = |name| identifier(name, Span::call_site()).to_string();
        assert_eq!([name("type"), name("self"), name("name")], ["r#type", "self_", "name"]);
    }
}
