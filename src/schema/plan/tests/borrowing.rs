//! Types that borrow from the payload.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{json_written, record};
use crate::schema::plan::Plan;

#[derive(Debug, PartialEq, Deserialize)]
struct View<'p> {
    text: &'p str,
    bytes: &'p [u8],
    fixed: &'p [u8],
    maybe: Option<&'p str>,
    #[serde(borrow)]
    cow: Cow<'p, str>,
    list: Vec<&'p str>,
    map: BTreeMap<&'p str, &'p str>,
    symbol: &'p str,
    /// The writer does not know it.
    added: &'p str,
}

#[test]
fn strings_bytes_keys_symbols_and_defaults_are_borrowed() {
    let symbols = json!({"type": "enum", "name": "E", "symbols": ["A", "B"]});
    let fields = json!([
        {"name": "text", "type": "string"}, {"name": "bytes", "type": "bytes"},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2}}, {"name": "maybe", "type": ["null", "string"]},
        {"name": "cow", "type": "string"}, {"name": "list", "type": {"type": "array", "items": "string"}},
        {"name": "map", "type": {"type": "map", "values": "string"}}, {"name": "symbol", "type": symbols}]);
    let writer = record(&fields);
    let mut fields = fields;
    fields.as_array_mut().unwrap().push(json!({"name": "added", "type": "string", "default": "default"}));
    let plan = Plan::resolve(&writer, &record(&fields)).unwrap();
    let datum = json_written(
        &writer,
        &json!({"text": "text", "bytes": "by", "fixed": "fi", "maybe": "maybe", "cow": "cow", "list": ["a", "b"],
            "map": {"k": "v"}, "symbol": "B"}),
    );
    let view: View<'_> = plan.read(&datum).unwrap();
    let wanted = View {
        text: "text",
        bytes: b"by",
        fixed: b"fi",
        maybe: Some("maybe"),
        cow: "cow".into(),
        list: vec!["a", "b"],
        map: [("k", "v")].into(),
        symbol: "B",
        added: "default",
    };
    assert_eq!(view, wanted);
    let within = datum.as_ptr_range();
    for borrowed in [view.text, view.maybe.unwrap(), view.list[1], view.map["k"]] {
        assert!(within.contains(&borrowed.as_ptr()), "{borrowed} is a copy");
    }
    assert!(matches!(view.cow, Cow::Borrowed(_)));
}
