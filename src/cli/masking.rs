//! Payloads as people may see them: what a schema marks with `"pii": true` is hidden, unless it is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use serde_json::Value;

use super::printer::Printer;
use super::schemas::Schemas;
use crate::schema::contract::Contract;
use crate::schema::masking::{hide_all, mask};
use crate::schema::{Codec, SchemaId};

/// Whether what is sensitive is shown.
#[derive(Args)]
pub(super) struct MaskingArguments {
    /// Show the values of fields that their schema marks with "pii": true; otherwise they are ***.
    #[arg(long)]
    unmask: bool,
}

/// Decodes payloads, and hides what is sensitive in them.
pub(super) struct PayloadView {
    pub(super) codec: Codec,
    unmask: bool,
    /// The schemas of the folder, by record: a field that was marked later is hidden in older events too.
    present: HashMap<String, Contract>,
    /// The writers' schemas, by id.
    writers: Mutex<HashMap<SchemaId, Arc<Contract>>>,
}

impl PayloadView {
    pub(super) fn new(schemas: &Schemas, arguments: &MaskingArguments, printer: &Printer) -> Self {
        let mut present = HashMap::new();
        let files = schemas.present_files().unwrap_or_else(|_| {
            // A registry's schemas do without the folder, but then a mark that was added later is not known.
            printer.warning("the folder of schemas cannot be read: a field marked \"pii\" there only is not hidden");
            Vec::new()
        });
        for file in files {
            if let Ok(contract) = Contract::parse(&file.text) {
                present.entry(file.record).or_insert(contract);
            }
        }
        Self { codec: schemas.codec.clone(), unmask: arguments.unmask, present, writers: Mutex::default() }
    }

    /// Hide what is sensitive in a payload of this schema; whether anything was.
    pub(super) async fn mask(&self, schema_id: SchemaId, record: &str, payload: &mut Value) -> bool {
        if self.unmask {
            return false;
        }
        let now = self.present.get(record).is_some_and(|contract| mask(contract, payload));
        match self.writer(schema_id).await {
            Some(contract) => mask(&contract, payload) || now,
            // It was decoded, so the schema was there a moment ago: until it is again, nothing is shown.
            None => hide_all(payload),
        }
    }

    async fn writer(&self, id: SchemaId) -> Option<Arc<Contract>> {
        if let Some(known) = self.writers.lock().get(&id) {
            return Some(Arc::clone(known));
        }
        let registry = self.codec.registry();
        let schema = match id {
            SchemaId::Number(id) => registry.schema(id).await.ok()?,
            SchemaId::Guid(guid) => registry.schema_by_guid(guid).await.ok()?,
        };
        let contract = Arc::new(Contract::parse_with_references(&schema.schema, &schema.references).ok()?);
        self.writers.lock().insert(id, Arc::clone(&contract));
        Some(contract)
    }
}
