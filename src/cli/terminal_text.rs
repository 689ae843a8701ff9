//! Text that cannot take over a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with its control characters escaped, but for the end of a line. Within JSON strings the escapes are JSON's own, so
/// that JSON stays JSON and keeps its meaning.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|character| character != '\n' && is_unsafe(character)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character != '\n' && is_unsafe(character) {
            // All of them are in the plane that four digits reach.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// One line of `bytes`: what is no UTF-8 is written `\xff`, ends of lines and backslashes are escaped. Can be read back
/// with [`unescaped`].
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                character if is_unsafe(character) => {
                    let _ = write!(text, "\\u{:04x}", u32::from(character));
                }
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The bytes of which `text` is the [`escaped`] form; `None` when it is none.
pub(super) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let kind = after.chars().next()?;
        rest = &after[kind.len_utf8()..];
        let mut hex = |digits: usize| {
            let (number, behind) = rest.split_at_checked(digits)?;
            rest = behind;
            u32::from_str_radix(number, 16).ok()
        };
        match kind {
            '\\' => bytes.push(b'\\'),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'x' => bytes.push(u8::try_from(hex(2)?).ok()?),
            'u' => bytes.extend_from_slice(char::from_u32(hex(4)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => return None,
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Control characters, and those that turn the direction of the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal_and_json_keeps_its_meaning() {
        let json = serde_json::to_string("a\u{1b}[31m\u{9b}2J\u{202e}ü\n").unwrap();
        let safe = printable(&json);
        assert!(!safe.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "a\u{1b}[31m\u{9b}2J\u{202e}ü\n");
    }

    #[test]
    fn any_bytes_have_one_line_of_text_and_it_reads_back() {
        for bytes in [&b"plain"[..], b"\xff\xfe", b"a\\xff", b"\x1b[2J\n\r\t\0", "ü\u{9b}\u{202e}".as_bytes(), b""] {
            let text = escaped(bytes);
            assert!(!text.chars().any(is_unsafe), "{text}");
            assert_eq!(unescaped(&text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["\\", "\\q", "\\x1", "\\u12", "\\ud800", "\\xé"] {
            assert_eq!(unescaped(text), None, "{text}");
        }
    }
}
