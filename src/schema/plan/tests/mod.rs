mod borrowing;
mod bounds;
mod every_value;
mod evolution;
mod hostile_schemas;
mod rust_types;

use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde_json::{Value, json};

use super::Contract;

fn contract(schema: &Value) -> Contract {
    Contract::parse(&schema.to_string()).unwrap()
}

fn record(fields: &Value) -> Contract {
    contract(&json!({"type": "record", "name": "R", "namespace": "a.b", "fields": fields}))
}

fn one(of: &Value) -> Contract {
    record(&json!([{"name": "v", "type": of}]))
}

fn written<T: Serialize>(contract: &Contract, value: &T) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(contract.schema()).human_readable(true).build().unwrap();
    writer.write_ser_to_vec(value).unwrap()
}

fn json_written(contract: &Contract, value: &Value) -> Vec<u8> {
    let mut datum = Vec::new();
    crate::schema::json_datum::write_payload(contract.schema(), value, &mut datum).unwrap();
    datum
}

fn linked() -> Contract {
    record(&json!([{"name": "next", "type": ["null", "R"], "default": null}]))
}

fn empty_items() -> Contract {
    one(
        &json!({"type": "array", "items": {"type": "record", "name": "Empty", "fields": [{"name": "n", "type": "null"}]}}),
    )
}
