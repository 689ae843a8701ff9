//! From a JSON document to a record.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::documents::Document;
use super::error::OutgoingError;
use crate::causality::Causality;
use crate::cli::header_map::{Bytes, HeaderMap};
use crate::cli::record_line::RecordLine;
use crate::cli::schemas::{SchemaFile, Schemas};
use crate::clock::{Clock as _, SystemClock};
use crate::envelope::{Envelope, header};
use crate::event::Stream;
use crate::schema::{Codec, EncodedDatum, RegistryError, SchemaRegistry as _};
use crate::transport::{Headers, OutgoingRecord};

/// The version an event has when nobody says otherwise.
pub(super) const DEFAULT_VERSION: &str = "1.0.0";

/// What is the same for all documents.
pub(super) struct Template {
    pub(super) topic: Arc<str>,
    /// The publishing service.
    pub(super) service: String,
    pub(super) event: Option<String>,
    pub(super) version: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_field: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) schema: Option<SchemaFile>,
}

/// A document that fits its schema, on its way to become a record.
pub(super) struct Outgoing {
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) event: String,
    key: Option<Vec<u8>>,
    headers: HeaderMap,
    content: Content,
    /// The document, to be shown.
    payload: Option<Value>,
    /// Nobody said which version it is.
    pub(super) version_assumed: bool,
}

enum Content {
    Datum(EncodedDatum),
    /// Bytes to be written as they are; `None` is a tombstone.
    Raw(Option<Vec<u8>>),
}

/// Makes records of documents.
pub(super) struct Press {
    pub(super) template: Template,
    pub(super) schemas: Schemas,
    clock: SystemClock,
    /// The registry's answers, by event.
    known: HashMap<String, Arc<str>>,
}

impl Press {
    pub(super) fn new(template: Template, schemas: Schemas) -> Self {
        Self { template, schemas, clock: SystemClock::new(), known: HashMap::new() }
    }

    /// Check a document against its schema and give it its headers.
    pub(super) async fn prepare(&mut self, document: Document) -> Result<Outgoing, OutgoingError> {
        let Document { line, value } = document;
        match value {
            Value::Object(object) if RecordLine::is_one(&object) => {
                let record = RecordLine::read(object).map_err(OutgoingError::Line)?;
                self.copy(line, record).await
            }
            value => self.event(line, value, None).await,
        }
    }

    /// Write a document's frame and make it a record.
    pub(super) async fn finish(&self, outgoing: Outgoing) -> Result<OutgoingRecord, OutgoingError> {
        let Outgoing { key, mut headers, content, .. } = outgoing;
        let payload = match content {
            Content::Raw(payload) => payload.map(Into::into),
            Content::Datum(datum) => {
                let framed = self.schemas.codec.frame(&self.template.topic, datum).await?;
                headers.set(header::DATA_SCHEMA, &framed.data_schema);
                Some(framed.bytes)
            }
        };
        Ok(OutgoingRecord {
            topic: Arc::clone(&self.template.topic),
            partition: None,
            key: key.map(Into::into),
            payload,
            headers: headers
                .0
                .iter()
                .map(|(name, value)| (name, value.as_ref().map(|value| &value.0)))
                .collect::<Headers>(),
            timestamp_ms: None,
        })
    }

    /// What would be written, where it is not to be.
    pub(super) fn show(&self, outgoing: Outgoing) -> RecordLine {
        let raw = match &outgoing.content {
            Content::Raw(Some(bytes)) => Some(Bytes(bytes.clone()).to_base64()),
            _ => None,
        };
        RecordLine {
            topic: self.template.topic.to_string(),
            partition: None,
            offset: None,
            timestamp: None,
            key: outgoing.key.map(Bytes),
            version: outgoing.headers.text(header::SCHEMA_VERSION).map(str::to_owned),
            event: Some(outgoing.event),
            headers: outgoing.headers,
            record: match &outgoing.content {
                Content::Datum(datum) => Some(datum.record().to_owned()),
                Content::Raw(_) => None,
            },
            schema_id: None,
            payload: outgoing.payload,
            masked: false,
            payload_base64: raw,
            payload_error: None,
        }
    }

    /// A record that was read elsewhere: it keeps its headers, its id and its times among them.
    async fn copy(&mut self, line: usize, mut record: RecordLine) -> Result<Outgoing, OutgoingError> {
        let raw = record.raw_payload();
        if let Some(payload) = record.payload.take() {
            return self.event(line, payload, Some(record)).await;
        }
        let event = record.event.clone().unwrap_or_default();
        let id = record.headers.text(header::ID).unwrap_or_default().to_owned();
        let key = self.template.key.clone().map(String::into_bytes).or(record.key.map(|key| key.0));
        let mut headers = record.headers;
        self.set_given(&mut headers);
        headers.check()?;
        Ok(Outgoing {
            line,
            id,
            event,
            key,
            headers,
            content: Content::Raw(raw),
            payload: None,
            version_assumed: false,
        })
    }

    /// An event: a payload, and what a record that was read elsewhere says of it.
    async fn event(
        &mut self,
        line: usize,
        payload: Value,
        copied: Option<RecordLine>,
    ) -> Result<Outgoing, OutgoingError> {
        let Template { event, version, key, key_field, subject, service, schema, .. } = &self.template;
        let stated = event.clone().or_else(|| copied.as_ref().and_then(|line| line.event.clone()));
        let event = stated.or_else(|| schema.as_ref().map(|file| file.record.clone())).ok_or(OutgoingError::NoEvent)?;
        let said = version.clone().or_else(|| copied.as_ref().and_then(|line| line.version.clone()));
        let version_assumed = said.is_none();
        let version = said.unwrap_or_else(|| DEFAULT_VERSION.to_owned());
        let key = match (key, key_field) {
            (Some(key), _) => Some(key.clone().into_bytes()),
            (None, Some(field)) => Some(key_of(&payload, field)?.into_bytes()),
            (None, None) => copied.as_ref().and_then(|line| line.key.as_ref()).map(|key| key.0.clone()),
        };
        let key = match (key, &copied) {
            (None, None) => return Err(OutgoingError::NoKey { event }),
            (key, _) => key,
        };
        let key_text = key.as_ref().and_then(|key| String::from_utf8(key.clone()).ok());
        let entity = event.rsplit_once('.').map_or(event.as_str(), |(entity, _)| entity);
        let stream = subject.clone().or_else(|| key_text.as_ref().map(|key| format!("{entity}/{key}")));
        let id = copied.as_ref().and_then(|line| line.headers.text(header::ID)).map(str::to_owned);
        let (fresh, now, cause) = (Uuid::now_v7(), self.clock.now(), Causality::default());
        let id = id.unwrap_or_else(|| fresh.to_string());
        let envelope = Envelope {
            id: fresh,
            source: service.clone().into(),
            event: event.clone().into(),
            schema_version: version.into(),
            time: now,
            recorded_time: now,
            stream: Stream::from_name(stream.as_deref().unwrap_or_default()),
            sequence: None,
            stream_epoch: 0,
            key: key_text.clone().unwrap_or_default(),
            correlation_id: id.clone(),
            causation_id: None,
            data_schema: String::new(),
            traceparent: cause.next_traceparent(),
            tracestate: None,
        };
        let mut headers = HeaderMap::of(&envelope.to_headers());
        // There is no header without something to say.
        headers.0.retain(|(_, value)| value.as_ref().is_some_and(|value| !value.0.is_empty()));
        if let Some(copied) = &copied {
            headers.take_over(&copied.headers);
        }
        self.set_given(&mut headers);
        headers.check()?;
        let schema = self.schema(&event).await?;
        let datum = self.schemas.codec.encode_json(&schema, &payload)?;
        Ok(Outgoing {
            line,
            id,
            event,
            key,
            headers,
            content: Content::Datum(datum),
            payload: Some(payload),
            version_assumed,
        })
    }

    /// What was given as a flag wins over what a line says.
    fn set_given(&self, headers: &mut HeaderMap) {
        let Template { event, version, key, subject, headers: others, .. } = &self.template;
        let given = [
            (header::TYPE, event),
            (header::SCHEMA_VERSION, version),
            (header::PARTITION_KEY, key),
            (header::SUBJECT, subject),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                headers.set(name, value);
            }
        }
        for (name, value) in others {
            headers.set(name, value);
        }
    }

    /// The schema of `event`.
    async fn schema(&mut self, event: &str) -> Result<Arc<str>, OutgoingError> {
        if let Some(known) = self.known.get(event) {
            return Ok(Arc::clone(known));
        }
        let found: Arc<str> = match (&self.template.schema, &self.schemas.registry) {
            (Some(file), _) => file.text.as_str().into(),
            (None, Some(registry)) => {
                let subject = Codec::subject(&self.template.topic, event);
                let advice = |reason: &str| OutgoingError::NoSchema {
                    event: event.to_owned(),
                    advice: format!("{reason}; give the schema with --schema FILE"),
                };
                match registry.latest(&subject).await {
                    Ok(found) if found.references.is_empty() => found.schema.into(),
                    Ok(_) => return Err(advice(&format!("that of {subject} refers to other schemas"))),
                    Err(RegistryError::UnknownSubject { .. }) => {
                        let folder = self.schemas.folder.as_ref().map_or_else(String::new, |folder| {
                            format!(", and beside a registry the folder {} is not looked into", folder.display())
                        });
                        return Err(advice(&format!("the schema registry has no subject {subject}{folder}")));
                    }
                    Err(source) => return Err(OutgoingError::Registry { event: event.to_owned(), source }),
                }
            }
            (None, None) => {
                let file = self.schemas.files.iter().find(|file| file.record == event);
                let advice = || match &self.schemas.folder {
                    Some(folder) => format!(
                        "no .avsc file in the folder {} is of a record of that name; add it, name another folder with \
                         --schemas, or give --schema FILE or --registry URL",
                        folder.display()
                    ),
                    None => "give --schema FILE, --schemas FOLDER or --registry URL".to_owned(),
                };
                file.map(|file| file.text.as_str().into())
                    .ok_or_else(|| OutgoingError::NoSchema { event: event.to_owned(), advice: advice() })?
            }
        };
        self.known.insert(event.to_owned(), Arc::clone(&found));
        Ok(found)
    }
}

fn key_of(payload: &Value, field: &str) -> Result<String, OutgoingError> {
    let wrong = |reason| OutgoingError::KeyField { field: field.to_owned(), reason };
    match payload.get(field) {
        None => Err(wrong("is missing")),
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
        Some(_) => Err(wrong("is neither text nor a whole number")),
    }
}

#[cfg(test)]
mod tests;
