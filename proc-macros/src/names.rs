//! Which names events, topics and dispatchers may have.

/// Longer names fit neither the outbox's columns nor most tools.
const MAX_EVENT_NAME: usize = 255;

/// Kafka's own bound.
const MAX_TOPIC_NAME: usize = 249;

/// One part of an Avro name.
pub(crate) fn is_avro_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}

/// An event's name is the full name of its Avro record: a namespace and a name.
pub(crate) fn check_event_name(name: &str) -> Result<(), String> {
    let explain = |fault: &str| {
        format!(
            "{name:?} is not an event name: {fault}\n\
             help: a namespace, a dot and the event in the past tense, e.g. \"accounts.UserUpdated\""
        )
    };
    if name.len() > MAX_EVENT_NAME {
        return Err(explain(&format!("it has {} bytes, at most {MAX_EVENT_NAME} are allowed", name.len())));
    }
    if !name.contains('.') {
        return Err(explain("it has no dot"));
    }
    if let Some(part) = name.split('.').find(|part| !is_avro_name(part)) {
        return Err(explain(&format!("{part:?} must be a letter or `_`, then letters, digits or `_`")));
    }
    Ok(())
}

/// The event's namespace and its last part.
pub(crate) fn split_event_name(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// A source names a topic; a dispatcher's name becomes part of a consumer group, for which the same rule is kept.
pub(crate) fn check_topic_name(what: &str, name: &str) -> Result<(), String> {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if name.is_empty() || name == "." || name == ".." || name.len() > MAX_TOPIC_NAME || !name.chars().all(legal) {
        return Err(format!(
            "{name:?} cannot be {what}: Kafka allows 1 to {MAX_TOPIC_NAME} letters, digits, `.`, `_` and `-`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_names_are_avro_full_names() {
        for good in ["accounts.UserUpdated", "com.example.accounts.User_2", "_a._b"] {
            assert_eq!(check_event_name(good), Ok(()));
        }
        for bad in ["", "UserUpdated", ".UserUpdated", "accounts.", "a..b", "accounts.User-Updated", "a.2b", "a.ü"] {
            assert!(check_event_name(bad).is_err(), "{bad}");
        }
        assert!(check_event_name(&format!("a.{}", "b".repeat(254))).is_err());
    }

    #[test]
    fn sources_are_topic_names() {
        assert_eq!(check_topic_name("a source", "accounts-v2.eu_1"), Ok(()));
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(250)] {
            assert!(check_topic_name("a source", bad).is_err(), "{bad}");
        }
    }
}
