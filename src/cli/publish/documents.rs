//! JSON documents, one after the other, with the lines they stand on.

use std::io::{self, BufRead};

use serde_json::Value;

/// The most text without the end of a document, in bytes. No broker takes a record nearly as large.
const LARGEST: usize = 16 * 1024 * 1024;

/// A JSON document.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// The line it begins on, from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// Input that is not JSON documents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum DocumentError {
    /// It is not JSON.
    #[error("line {line}, column {column}: this is not JSON: {reason}")]
    Malformed { line: usize, column: usize, reason: String },
    /// A document does not end.
    #[error("line {line}: the JSON that begins here does not end within 16 MiB; is a bracket missing?")]
    Endless { line: usize },
    /// It is not text.
    #[error("line {line}: this is not UTF-8 text")]
    NotText { line: usize },
    /// It cannot be read.
    #[error("line {line}: the input cannot be read")]
    Unreadable {
        line: usize,
        #[source]
        source: io::Error,
    },
}

/// The documents of a text: one a line, or spread over lines. What is on a line belongs together: nothing of it is given
/// before all of it was read.
pub(super) struct Documents<R> {
    input: R,
    line: usize,
    /// Documents of a line that was read, the next one last.
    ready: Vec<Document>,
    failed: bool,
}

impl<R: BufRead> Documents<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0, ready: Vec::new(), failed: false }
    }

    /// Read lines up to one that ends outside of any bracket; empty at the end of the input.
    fn read(&mut self) -> Result<Vec<Document>, DocumentError> {
        let mut text = Vec::new();
        let mut nesting = Nesting::default();
        let mut first = self.line + 1;
        loop {
            let before = text.len();
            let most = u64::try_from(LARGEST - before + 1).unwrap_or(u64::MAX);
            let read = io::Read::take(&mut self.input, most).read_until(b'\n', &mut text);
            let read = read.map_err(|source| DocumentError::Unreadable { line: self.line + 1, source })?;
            if read == 0 {
                return parse(&text, first);
            }
            self.line += 1;
            if text.len() > LARGEST {
                return Err(DocumentError::Endless { line: first });
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                text.clear();
                first = self.line + 1;
                continue;
            }
            nesting.follow(&text[before..]);
            if nesting.is_closed() {
                return parse(&text, first);
            }
        }
    }
}

impl<R: BufRead> Iterator for Documents<R> {
    type Item = Result<Document, DocumentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.failed {
            match self.read() {
                Ok(documents) => {
                    self.ready = documents;
                    self.ready.reverse();
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.ready.pop().map(Ok)
    }
}

/// All documents of `text`, whose first line is the line `first`.
fn parse(text: &[u8], first: usize) -> Result<Vec<Document>, DocumentError> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let valid = text.get(..error.valid_up_to()).unwrap_or_default();
        DocumentError::NotText { line: first + lines(valid) }
    })?;
    let mut documents = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let offset = stream.byte_offset();
        let blank = text[offset..].len() - text[offset..].trim_start().len();
        let line = first + lines(&text.as_bytes()[..offset + blank]);
        match stream.next() {
            None => return Ok(documents),
            Some(Ok(value)) => documents.push(Document { line, value }),
            Some(Err(error)) => {
                let reason = error.to_string();
                // The place is told in our own words: the library counts from where it began.
                let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
                let (mut line, mut column) = (error.line(), error.column());
                // The end of a line within a string: the fault is on the line that ends.
                if column == 0 && line > 1 {
                    line -= 1;
                    column = text.lines().nth(line - 1).map_or(0, |line| line.chars().count()) + 1;
                }
                return Err(DocumentError::Malformed { line: first + line.saturating_sub(1), column, reason });
            }
        }
    }
}

fn lines(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').count().saturating_sub(1)
}

/// How deep in brackets a text is, without parsing it again at every line.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A bracket closed that was never opened.
    broken: bool,
}

impl Nesting {
    fn follow(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => match self.depth.checked_sub(1) {
                    Some(depth) => self.depth = depth,
                    None => self.broken = true,
                },
                _ => {}
            }
        }
    }

    /// Whether a document can end here, or can no longer be one. A string does not go on in the next line.
    const fn is_closed(&self) -> bool {
        self.depth == 0 || self.in_string || self.broken
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<Result<Document, String>> {
        Documents::new(text.as_bytes()).map(|document| document.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn documents_stand_on_a_line_each_or_on_several() {
        let text = "\n{\"a\": 1}\n\n{\n  \"a\": [\n 2, \"}\\\"{\"\n]}\n  {\"a\": 3} {\"a\": 4}";
        let found: Vec<_> = read(text).into_iter().map(|document| document.map(|d| (d.line, d.value))).collect();
        let expected = [
            Ok((2, json!({"a": 1}))),
            Ok((4, json!({"a": [2, "}\"{"]}))),
            Ok((8, json!({"a": 3}))),
            Ok((8, json!({"a": 4}))),
        ];
        assert_eq!(found, expected);
        assert_eq!(read(" \n \n"), []);
    }

    #[test]
    fn what_is_not_json_is_told_by_line_and_column_and_nothing_follows() {
        for (text, place) in [
            ("{\"a\": 1}\n{\"a\" 2}\n{\"a\": 3}", "line 2, column 6"),
            ("{\n \"a\": 1,\n \"b\": oops\n}", "line 3, column 7"),
            ("{\"a\": 1}\n}", "line 2, column 1"),
            ("\n\n{\"a\": \"x\n\"}", "line 3, column 9"),
            ("{\"a\": 1}\n{\"a\":", "line 2"),
        ] {
            let found = read(text);
            let error = found.last().unwrap().as_ref().unwrap_err();
            assert!(error.starts_with(place), "{text}: {error}");
            assert!(found[..found.len() - 1].iter().all(Result::is_ok) && found.len() <= 2, "{text}");
        }
    }

    #[test]
    fn nothing_of_a_line_is_given_when_its_end_is_broken() {
        let found = read("{\"a\": 1} {\"a\": 2} x");
        assert_eq!(found.len(), 1);
        assert!(found[0].as_ref().unwrap_err().starts_with("line 1, column 19"), "{found:?}");
    }

    #[test]
    fn bytes_that_are_no_text_are_told_by_line() {
        let found: Vec<_> = Documents::new(&b"{}\n{\"a\": \"\xff\"}"[..]).collect();
        assert!(matches!(found[1], Err(DocumentError::NotText { line: 2 })), "{found:?}");
    }

    #[test]
    fn a_document_that_does_not_end_is_given_up() {
        let endless = io::BufReader::new(io::repeat(b'['));
        let found = Documents::new(endless).next().unwrap();
        assert!(matches!(found, Err(DocumentError::Endless { line: 1 })), "{found:?}");
    }
}
