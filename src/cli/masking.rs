//! Payloads as people may see them: what a schema marks with `"pii": true` is hidden, unless it is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use serde_json::Value;

use super::printer::Printer;
use super::schemas::Schemas;
use crate::schema::contract::Contract;
use crate::schema::masking::{former_names, hide_all, mask};
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
    /// The schemas of the folder.
    present: PresentSchemas,
    /// The writers' schemas, by id.
    writers: Mutex<HashMap<SchemaId, Arc<Contract>>>,
}

impl PayloadView {
    pub(super) fn new(schemas: &Schemas, arguments: &MaskingArguments, printer: &Printer) -> Self {
        let files = schemas.present_files().unwrap_or_else(|_| {
            // A registry's schemas do without the folder, but then a mark that was added later is not known.
            printer.warning("the folder of schemas cannot be read: a field marked \"pii\" there only is not hidden");
            Vec::new()
        });
        let present = PresentSchemas::of(files.iter().map(|file| file.text.as_str()));
        Self { codec: schemas.codec.clone(), unmask: arguments.unmask, present, writers: Mutex::default() }
    }

    /// Whether everything is shown.
    pub(super) const fn is_unmasked(&self) -> bool {
        self.unmask
    }

    /// Hide what is sensitive in a payload of this schema; whether anything was.
    pub(super) async fn mask(&self, schema_id: SchemaId, record: &str, payload: &mut Value) -> bool {
        if self.unmask {
            return false;
        }
        let now = self.present.mask(record, payload);
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

/// What people work on, by each name of a record, those before it too: a field that was marked later is hidden in older events.
#[derive(Default)]
struct PresentSchemas(HashMap<String, Vec<Arc<Contract>>>);

impl PresentSchemas {
    /// Those of these texts that are schemas; of the same name the first.
    fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let (mut schemas, mut before) = (HashMap::new(), Vec::new());
        for contract in texts.filter_map(|text| Contract::parse(text).ok()).map(Arc::new) {
            let name = contract.name().to_string();
            if schemas.contains_key(&name) {
                continue;
            }
            before.extend(former_names(contract.schema()).map(|name| (name, Arc::clone(&contract))));
            schemas.insert(name, vec![contract]);
        }
        // Under a name that two had, both are asked.
        for (name, contract) in before {
            schemas.entry(name).or_default().push(contract);
        }
        Self(schemas)
    }

    fn mask(&self, record: &str, payload: &mut Value) -> bool {
        let contracts = self.0.get(record).into_iter().flatten();
        contracts.fold(false, |hidden, contract| mask(contract, payload) | hidden)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(name: &str, aliases: &Value, field: &str) -> String {
        let fields = json!([{"name": field, "aliases": ["mail"], "type": "string", "pii": true}]);
        json!({"type": "record", "name": name, "namespace": "players", "aliases": aliases, "fields": fields})
            .to_string()
    }

    fn masked(texts: &[String], record: &str) -> Value {
        let mut payload = json!({"email": "a", "mail": "b", "address": "c"});
        PresentSchemas::of(texts.iter().map(String::as_str)).mask(record, &mut payload);
        payload
    }

    #[test]
    fn an_older_event_is_hidden_by_the_names_its_record_and_fields_have_now() {
        let now = schema("Moved", &json!(["Relocated", "accounts.Moved"]), "email");
        let hidden = json!({"email": "***", "mail": "***", "address": "c"});
        for record in ["players.Moved", "players.Relocated", "accounts.Moved"] {
            assert_eq!(masked(std::slice::from_ref(&now), record), hidden, "{record}");
        }
        assert_eq!(masked(&[now], "players.Other")["mail"], "b");
    }

    #[test]
    fn a_name_that_another_record_has_by_now_hides_what_either_marks() {
        let texts = [schema("Moved", &json!(["Relocated"]), "email"), schema("Relocated", &json!([]), "address")];
        assert_eq!(masked(&texts, "players.Relocated"), json!({"email": "***", "mail": "***", "address": "***"}));
        assert_eq!(masked(&texts, "players.Moved")["address"], "c");
    }
}
