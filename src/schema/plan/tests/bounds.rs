//! What bytes can do at worst.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{empty_items, json_written, linked, one, record};
use crate::schema::plan::Plan;

#[test]
fn recursive_types_resolve_and_nest_only_so_deep() {
    #[derive(Debug, Deserialize)]
    struct R {
        next: Option<Box<Self>>,
        #[serde(default)]
        depth: i32,
    }
    let new = record(&json!([{"name": "next", "type": ["null", "R"], "default": null},
        {"name": "depth", "type": "int", "default": 5}]));
    let plan = Plan::resolve(&linked(), &new).unwrap();
    let two: R = plan.read(&[2, 2, 0]).unwrap();
    assert_eq!((two.depth, two.next.unwrap().next.unwrap().depth), (5, 5));
    let endless = [vec![2; 1_000_000], vec![0]].concat();
    for error in [plan.read::<R>(&endless).unwrap_err(), plan.read_json(&endless).unwrap_err()] {
        assert!(error.to_string().ends_with("it nests deeper than 64 levels"), "{error}");
    }
    let ignoring = Plan::resolve(&linked(), &record(&json!([]))).unwrap();
    assert!(ignoring.read::<Value>(&endless).unwrap_err().to_string().ends_with("it nests deeper than 64 levels"));
}

#[test]
fn lengths_that_lie_are_refused_without_allocating() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for of in [
        json!("string"),
        json!("bytes"),
        json!({"type": "array", "items": "long"}),
        json!({"type": "map", "values": "int"}),
    ] {
        let contract = one(&of);
        let plan = Plan::as_written(&contract).unwrap();
        assert!(plan.read::<Value>(&huge).unwrap_err().to_string().starts_with("field `v`: it says it"), "{of}");
        assert!(plan.read_json(&huge).is_err());
    }
    let contract = one(&json!("string"));
    let plan = Plan::as_written(&contract).unwrap();
    assert_eq!(plan.read::<Value>(&[1]).unwrap_err().to_string(), "field `v`: its length is negative (-1)");
    assert_eq!(
        plan.read::<Value>(&[20, b'a']).unwrap_err().to_string(),
        "field `v`: it says it is 10 bytes long, and 1 bytes are left"
    );
    assert_eq!(plan.read::<Value>(&[2, 0xff]).unwrap_err().to_string(), "field `v`: a string is not UTF-8");
}

#[test]
fn items_without_bytes_are_bounded_too() {
    let contract = empty_items();
    let plan = Plan::as_written(&contract).unwrap();
    assert_eq!(plan.read::<Value>(&[4, 0]).unwrap(), json!({"v": [{"n": null}, {"n": null}]}));
    let bomb = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
    assert_eq!(
        plan.read::<Value>(&bomb).unwrap_err().to_string(),
        "field `v`: it has more than 65536 values without a byte, besides one for each byte"
    );
    let blocks = [vec![0xfe, 0xff, 0x03], vec![0xfe, 0xff, 0x03], vec![0xfe, 0xff, 0x03], vec![0]].concat();
    assert!(plan.read_json(&blocks).unwrap_err().to_string().ends_with("besides one for each byte"));
}

#[test]
fn bytes_behind_the_datum_are_an_error() {
    let contract = one(&json!("int"));
    let plan = Plan::as_written(&contract).unwrap();
    assert_eq!(plan.read::<Value>(&[2, 0, 0]).unwrap_err().to_string(), "2 bytes are left behind the payload");
    assert!(plan.read_json(&[2, 0]).is_err());
}

#[test]
fn blocks_with_sizes_are_read_and_passed_over() {
    let list = json!({"type": "array", "items": "int"});
    let both = record(&json!([{"name": "v", "type": list}, {"name": "w", "type": "int"}]));
    // Two items with their size in bytes before them, one more, the end; then 5.
    let datum = [3, 4, 2, 4, 2, 6, 0, 10];
    assert_eq!(Plan::as_written(&both).unwrap().read::<Value>(&datum).unwrap(), json!({"v": [1, 2, 3], "w": 5}));
    let second = record(&json!([{"name": "w", "type": "int"}]));
    assert_eq!(Plan::resolve(&both, &second).unwrap().read::<Value>(&datum).unwrap(), json!({"w": 5}));
}

#[test]
fn errors_name_the_field_and_never_its_value() {
    #[derive(Debug, Deserialize)]
    struct R {
        #[expect(dead_code, reason = "reading it fails")]
        v: Vec<Item>,
    }
    #[derive(Debug, Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "reading it fails")]
        secret: i64,
    }
    let item = json!({"type": "record", "name": "Item", "fields": [{"name": "secret", "type": "string"}]});
    let contract = one(&json!({"type": "array", "items": item}));
    let datum = json_written(&contract, &json!({"v": [{"secret": "hunter2"}]}));
    let error = Plan::as_written(&contract).unwrap().read::<R>(&datum).unwrap_err().to_string();
    assert_eq!(error, "field `v[0].secret`: it is a string, and the type wants i64");
}
