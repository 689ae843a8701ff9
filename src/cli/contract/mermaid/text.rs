//! The text of a diagram.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A diagram as it grows.
pub(super) struct Diagram(String);

impl Diagram {
    /// A diagram of a kind, such as `flowchart LR`.
    pub(super) fn new(kind: &str) -> Self {
        Self(format!("{kind}\n"))
    }

    pub(super) fn line(&mut self, depth: usize, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:indent$}{line}", "", indent = 2 * depth);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Short names for what is in a diagram: Mermaid takes only plain words.
#[derive(Default)]
pub(super) struct Ids {
    known: BTreeMap<(&'static str, String), String>,
}

impl Ids {
    pub(super) fn of(&mut self, kind: &'static str, name: &str) -> String {
        let next = self.known.len() + 1;
        self.known.entry((kind, name.to_owned())).or_insert_with(|| format!("{kind}{next}")).clone()
    }
}

/// A text that is shown, with what would end it, begin markup or be a directive written as entities.
pub(super) fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '%' | ':' => {
                // Writing to a string cannot fail.
                let _ = write!(label, "#{};", u32::from(character));
            }
            other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}') => label.push(' '),
            other => label.push(other),
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_diagram_is_written_as_an_entity() {
        assert_eq!(
            label("a\"<b>;\n%%{init: `x`}%%\u{2028}#"),
            "a#34;#60;b#62;#59; #37;#37;{init#58; #96;x#96;}#37;#37; #35;"
        );
    }

    #[test]
    fn a_name_has_one_id_and_another_name_another() {
        let mut ids = Ids::default();
        assert_eq!([ids.of("event", "a"), ids.of("event", "b"), ids.of("event", "a")], ["event1", "event2", "event1"]);
    }
}
