//! Kafka's rule for topic names.

/// What is wrong with `name` as a topic's, if something is.
pub(crate) fn fault(name: &str) -> Option<&'static str> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    match name {
        "" => Some("it is empty"),
        "." | ".." => Some("Kafka keeps it for itself"),
        name if name.len() > 249 => Some("it is longer than 249 bytes"),
        name if !name.chars().all(allowed) => Some("it may contain ASCII letters, digits, `.`, `_` and `-` only"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kafka_takes_is_a_topics_name() {
        for name in ["accounts", "a.b_c-1"] {
            assert_eq!(fault(name), None, "{name}");
        }
        for name in ["", ".", "a b", "a/b", "é", &"a".repeat(250), "a\0b"] {
            assert!(fault(name).is_some(), "{name}");
        }
    }
}
