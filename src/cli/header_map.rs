//! Headers as JSON, whatever bytes they are of.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::terminal_text::{escaped, unescaped};
use crate::envelope::header;
use crate::transport::Headers;

/// The names of headers that a payload decides, and that a copy of it must not take over.
const OF_THE_PAYLOAD: &[&str] = &[header::DATA_SCHEMA, header::CONTENT_TYPE];

/// Bytes that are text most of the time: a string, or `{"base64": "…"}` where they are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// Headers as an object. A name that is there more than once has an array; one that is no UTF-8 is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HeaderMap(pub(super) Vec<(Vec<u8>, Option<Bytes>)>);

/// A header that the client could not write.
#[derive(Debug, thiserror::Error)]
#[error("the header `{name}` cannot be written: {reason}")]
pub(super) struct UnwritableHeader {
    name: String,
    reason: &'static str,
}

impl Bytes {
    /// Read what was written.
    ///
    /// # Errors
    /// What it is instead, to follow its name.
    pub(super) fn read(value: Value) -> Result<Option<Self>, &'static str> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(Self(text.into_bytes()))),
            Value::Object(object) if object.len() == 1 => {
                let text = object.get("base64").and_then(Value::as_str);
                let bytes = text.and_then(|text| STANDARD.decode(text).ok());
                bytes.map(|bytes| Some(Self(bytes))).ok_or("is not {\"base64\": \"…\"}")
            }
            _ => Err("is neither text nor {\"base64\": \"…\"}"),
        }
    }

    /// As base64.
    pub(super) fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// One line that people can read.
    pub(super) fn to_line(&self) -> String {
        escaped(&self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl HeaderMap {
    /// Headers as they are.
    pub(super) fn of(headers: &Headers) -> Self {
        let owned = |value: &[u8]| Bytes(value.to_vec());
        Self(headers.iter().map(|header| (header.name.to_vec(), header.value.map(owned))).collect())
    }

    /// Read what was written.
    ///
    /// # Errors
    /// Which header is not what it should be.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let Value::Object(object) = value else { return Ok(Self::default()) };
        let mut headers = Vec::with_capacity(object.len());
        for (name, value) in object {
            let bytes = unescaped(&name).ok_or_else(|| format!("the header name `{name}` has a broken escape"))?;
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                let value = Bytes::read(value).map_err(|reason| format!("the header `{name}` {reason}"))?;
                headers.push((bytes.clone(), value));
            }
        }
        Ok(Self(headers))
    }

    /// Let `name` have this value only, in the place of its first one.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let place = self.0.iter().position(|(found, _)| found == name.as_bytes()).unwrap_or(self.0.len());
        self.0.retain(|(found, _)| found != name.as_bytes());
        let place = place.min(self.0.len());
        self.0.insert(place, (name.as_bytes().to_vec(), Some(Bytes(value.as_bytes().to_vec()))));
    }

    /// Take the headers of a record that was read elsewhere, but for those that this one's payload decides.
    pub(super) fn take_over(&mut self, copied: &Self) {
        let of_the_payload = |name: &[u8]| OF_THE_PAYLOAD.iter().any(|own| own.as_bytes() == name);
        self.0.retain(|(name, _)| of_the_payload(name) || copied.0.iter().all(|(other, _)| other != name));
        self.0.extend(copied.0.iter().filter(|(name, _)| !of_the_payload(name)).cloned());
    }

    /// Whether the client can write them: it takes names as C strings of UTF-8.
    ///
    /// # Errors
    /// The first that it cannot.
    pub(super) fn check(&self) -> Result<(), UnwritableHeader> {
        for (name, _) in &self.0 {
            let reason = match std::str::from_utf8(name) {
                Err(_) => "its name is not UTF-8",
                Ok("") => "its name is empty",
                Ok(name) if name.contains('\0') => "its name contains a zero byte",
                Ok(_) => continue,
            };
            return Err(UnwritableHeader { name: escaped(name), reason });
        }
        Ok(())
    }

    /// The last text under `name`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(found, _)| found == name.as_bytes())?;
        std::str::from_utf8(&found.1.as_ref()?.0).ok()
    }
}

impl Serialize for HeaderMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                continue;
            }
            let key = escaped(name);
            let all: Vec<_> = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect();
            match all.len() {
                1 => map.serialize_entry(&key, value)?,
                _ => map.serialize_entry(&key, &all)?,
            }
        }
        map.end()
    }
}

impl fmt::Display for HeaderMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let value = value.as_ref().map_or_else(|| "(null)".to_owned(), Bytes::to_line);
            write!(formatter, "{separator}    {}: {value}", escaped(name))?;
        }
        Ok(())
    }
}
