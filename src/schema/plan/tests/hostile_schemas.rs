//! What schemas can do at worst: whoever may register one chooses what we resolve. Where a bound were missing, these would not end.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Contract, contract, json_written, record};
use crate::schema::SchemaError;
use crate::schema::compatibility::breaks;
use crate::schema::plan::Plan;

fn parse(schema: &Value) -> Result<Contract, SchemaError> {
    Contract::parse(&schema.to_string())
}

/// Why there is no plan. One that should not be is not shown either: it would fill the memory.
fn refused(writer: &Contract, reader: &Contract) -> String {
    Plan::resolve(writer, reader).map(drop).unwrap_err().to_string()
}

/// Records that each hold the one before twice: two to the power of their number in all.
fn doubling(levels: usize, leaf: &Value) -> Contract {
    let mut fields = vec![json!({"name": "f0", "type": {"type": "record", "name": "L0", "fields": leaf}})];
    for level in 1..levels {
        let below = format!("L{}", level - 1);
        let both = json!([{"name": "a", "type": below}, {"name": "b", "type": below}]);
        let this = json!({"type": "record", "name": format!("L{level}"), "fields": both});
        fields.push(json!({"name": format!("f{level}"), "type": this}));
    }
    record(&fields.into())
}

#[test]
fn values_without_bytes_do_not_multiply() {
    for leaf in [json!([]), json!([{"name": "n", "type": "null"}])] {
        let hostile = doubling(60, &leaf);
        let plan = Plan::as_written(&hostile).unwrap();
        let wanted = "it has more than 65536 values without a byte, besides one for each byte";
        assert!(plan.read::<Value>(&[]).unwrap_err().to_string().ends_with(wanted));
        assert!(plan.read_json(&[]).unwrap_err().to_string().ends_with(wanted));
        let ignoring = Plan::resolve(&hostile, &record(&json!([]))).unwrap();
        assert!(ignoring.read::<Value>(&[]).unwrap_err().to_string().ends_with(wanted));
    }
    // As many values that have bytes are bounded by those.
    let plan = Plan::as_written(&doubling(60, &json!([{"name": "n", "type": "int"}]))).unwrap();
    assert!(plan.read::<Value>(&[0; 10_000]).unwrap_err().to_string().ends_with("the payload ends within a number"));
}

#[test]
fn a_record_within_itself_has_no_payload() {
    let endless = record(&json!([{"name": "a", "type": "R"}, {"name": "b", "type": "R"}]));
    let plan = Plan::as_written(&endless).unwrap();
    for datum in [&[][..], &[0; 100]] {
        assert!(plan.read::<Value>(datum).unwrap_err().to_string().ends_with("it nests deeper than 64 levels"));
    }
}

/// At each level, each of two branches may be either of another such schema's two, and none fits in the end.
fn branching(leaf: &str) -> Contract {
    let mut fields = Vec::new();
    for level in 0..40_u32 {
        let value = match level.checked_sub(1) {
            None => json!(leaf),
            Some(below) => json!([format!("x.L{below}"), format!("y.L{below}")]),
        };
        let of = |namespace: &str| {
            json!({"type": "record", "name": format!("L{level}"), "namespace": namespace,
                "fields": [{"name": "v", "type": value}]})
        };
        fields.push(json!({"name": format!("f{level}"), "type": ["null", of("x"), of("y")]}));
    }
    record(&fields.into())
}

/// What the check of two schemas says.
fn broken(writer: &Contract, reader: &Contract) -> Vec<String> {
    breaks(writer.text(), reader.text()).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn branches_that_nearly_fit_are_not_compared_for_ever() {
    let error = refused(&branching("string"), &branching("int"));
    assert!(error.ends_with("takes more than 262144 comparisons"), "{error}");
    assert!(Plan::as_written(&branching("string")).is_ok());
}

#[test]
fn the_check_of_branches_that_nearly_fit_ends_where_a_plan_does_and_says_so() {
    let found = broken(&branching("string"), &branching("int"));
    assert_eq!(found, ["to bring the schemas together takes more than 262144 comparisons"]);
    assert_eq!(broken(&branching("string"), &branching("string")), [""; 0]);
}

#[test]
fn the_check_takes_no_defaults_that_a_plan_refuses() {
    // Each by itself has few enough values; the plan counts them together.
    let items = vec![0; 100_000];
    let of = json!({"type": "array", "items": "int"});
    let reader = |count: usize| {
        let field = |number: usize| json!({"name": format!("f{number}"), "type": of, "default": items});
        record(&(0..count).map(field).collect::<Vec<_>>().into())
    };
    let none = record(&json!([]));
    assert!(refused(&none, &reader(3)).contains("too many values: more than 262144"));
    assert_eq!(broken(&none, &reader(3)), ["with all its defaults it has too many values: more than 262144"]);
    assert!(Plan::resolve(&none, &reader(2)).is_ok());
    assert_eq!(broken(&none, &reader(2)), [""; 0]);
}

#[test]
fn the_check_of_fields_that_a_plan_passes_over_refuses_what_the_plan_does() {
    // No part of it is read; to pass over it, a plan has to know all of it.
    let branches = |levels: usize| {
        let wide: Vec<_> =
            (0..1_000).map(|number| json!({"type": "fixed", "name": format!("F{number}"), "size": 1})).collect();
        let mut fields = vec![json!({"name": "f0", "type": wide})];
        let names: Vec<_> = (0..1_000).map(|number| format!("F{number}")).collect();
        fields.extend((1..levels).map(|level| json!({"name": format!("f{level}"), "type": names})));
        record(&fields.into())
    };
    let none = record(&json!([]));
    let error = refused(&branches(2), &none);
    assert_eq!(broken(&branches(2), &none), [error]);
}

#[test]
fn the_check_of_hundreds_of_fields_that_do_not_fit_ends_and_tells_of_some() {
    let fields = |prefix: &str, of: &str| {
        let field = |number: usize| json!({"name": format!("{prefix}{number}"), "type": of});
        record(&(0..300).map(field).collect::<Vec<_>>().into())
    };
    let found = broken(&fields("f", "string"), &fields("f", "int"));
    assert_eq!((found.len(), &*found[0]), (100, "field `f0`: it was written as string and cannot be read as int"));
    // Each might be any of the others under its former name.
    let found = broken(&fields("f", "int"), &fields("g", "int"));
    assert_eq!((found.len(), &*found[0]), (100, "field `g0`: it is not in what was written, and has no default"));
}

#[test]
fn defaults_within_defaults_do_not_multiply() {
    let mut fields = vec![json!({"name": "f0", "type": {"type": "record", "name": "L0", "fields": [
        {"name": "n", "type": "int", "default": 1}]}, "default": {}})];
    for level in 1..40 {
        let below = format!("L{}", level - 1);
        let both = json!([{"name": "a", "type": below, "default": {}}, {"name": "b", "type": below, "default": {}}]);
        let this = json!({"type": "record", "name": format!("L{level}"), "fields": both});
        fields.push(json!({"name": format!("f{level}"), "type": this, "default": {}}));
    }
    let error = match parse(&json!({"type": "record", "name": "R", "namespace": "a.b", "fields": fields})) {
        Ok(reader) => Plan::resolve(&record(&json!([])), &reader).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("with all its defaults it has too many values"), "{error}");
}

#[test]
fn huge_enums_and_records_are_resolved_in_the_time_it_takes_to_read_them() {
    let symbols = |count: usize| (0..count).map(|symbol| format!("S{symbol}")).collect::<Vec<_>>();
    let fields = |symbols: &[String]| {
        let mut fields: Vec<_> =
            (0..8_000).map(|field| json!({"name": format!("f{field}"), "type": "int", "default": field})).collect();
        fields.insert(0, json!({"name": "v", "type": {"type": "enum", "name": "E", "symbols": symbols}}));
        fields
    };
    let writer = fields(&symbols(30_000));
    let reader = fields(&symbols(30_000).into_iter().rev().collect::<Vec<_>>());
    let (writer, reader) = (record(&writer.into()), record(&reader.into_iter().rev().collect()));
    let plan = Plan::resolve(&writer, &reader).unwrap();
    let mut datum = json_written(&writer, &json!({"v": "S29999"}));
    assert_eq!(plan.read::<Value>(&datum).unwrap()["v"], "S29999");
    datum.truncate(3);
    assert_eq!(plan.read::<Value>(&datum).unwrap_err().to_string(), "field `f0`: the payload ends within a number");
    assert!(Plan::resolve(&record(&json!([])), &reader).is_err(), "the enum has no default");
}

#[test]
fn a_long_name_that_thousands_of_unions_have_is_refused_before_it_is_copied_for_each() {
    let mut fields = vec![json!({"name": "f", "type": {"type": "enum", "name": "E", "symbols": ["A"]}})];
    fields.extend((0..2_000).map(|field| json!({"name": format!("f{field}"), "type": ["null", "E"]})));
    let schema = |length| json!({"type": "record", "name": "R", "namespace": "n".repeat(length), "fields": fields});
    let error = parse(&schema(300_000)).unwrap_err().to_string();
    assert_eq!(error, "the Avro schema has a name of 300000 bytes; 1024 are allowed");
    assert!(Plan::as_written(&contract(&schema(60))).is_ok());
    // A default may call anything a name.
    let named =
        json!([{"name": "v", "type": {"type": "map", "values": "string"}, "default": {"name": "n".repeat(2_000)}}]);
    assert!(parse(&json!({"type": "record", "name": "R", "fields": named})).is_ok());
}

#[test]
fn a_long_default_that_thousands_of_records_have_is_not_written_for_each() {
    let reader = |length: usize| {
        let long = json!([{"name": "s", "type": "string", "default": "x".repeat(length)}]);
        let mut fields =
            vec![json!({"name": "f", "type": {"type": "record", "name": "L", "fields": long}, "default": {}})];
        fields.extend((0..5_000).map(|field| json!({"name": format!("f{field}"), "type": "L", "default": {}})));
        record(&fields.into())
    };
    let error = refused(&record(&json!([])), &reader(300_000));
    assert!(error.ends_with("takes more than 16777216 bytes of names, symbols and defaults"), "{error}");
    assert!(Plan::resolve(&record(&json!([])), &reader(1_000)).is_ok());
}

#[test]
fn enums_of_the_same_name_in_many_namespaces_are_not_compared_each_with_each_without_end() {
    // Each of the reader's thousands of enums reads the writer's large one.
    let symbols: Vec<_> = (0..50_000).map(|symbol| format!("S{symbol}")).collect();
    let field = |name: String, of: Value| json!({"name": name, "type": of});
    let large = json!({"type": "enum", "name": "E", "symbols": symbols, "default": "S0"});
    let small = |number: usize| json!({"type": "enum", "name": "E", "namespace": format!("n{number}"), "symbols": ["S0"], "default": "S0"});
    let mut written = vec![field("f0".to_owned(), large)];
    written.extend((1..5_000).map(|number| field(format!("f{number}"), "E".into())));
    let read = (0..5_000).map(|number| field(format!("f{number}"), small(number))).collect::<Vec<_>>();
    let error = refused(&record(&written.into()), &record(&read.into()));
    assert!(error.ends_with("takes more than 262144 comparisons"), "{error}");
}

#[test]
fn records_behind_records_do_not_exhaust_the_stack() {
    // Each one holds the one before: 8,000 deep, though the text is flat.
    let mut fields = vec![json!({"name": "f0", "type": {"type": "record", "name": "L0", "fields": []}})];
    for level in 1..8_000 {
        let below = json!([{"name": "a", "type": format!("L{}", level - 1)}]);
        let this = json!({"type": "record", "name": format!("L{level}"), "fields": below});
        fields.push(json!({"name": format!("f{level}"), "type": this}));
    }
    let plan = Plan::as_written(&record(&fields.into())).unwrap();
    assert!(plan.read::<Value>(&[]).unwrap_err().to_string().ends_with("it nests deeper than 64 levels"));
}

#[test]
fn a_schema_that_is_too_long_or_too_deep_is_refused() {
    let mut long = r#"{"type":"record","name":"R","doc":""#.to_owned();
    long.extend(std::iter::repeat_n('x', 1_048_576));
    long.push_str(r#"","fields":[]}"#);
    let error = Contract::parse(&long).unwrap_err().to_string();
    assert!(error.starts_with("the Avro schema is too large: it has 1048625 bytes and 2 levels"), "{error}");

    // The parser of JSON has its own bound for one text.
    let nested = |levels: usize| {
        let open: String = std::iter::repeat_n(r#"{"type":"array","items":"#, levels).collect();
        let close = "}".repeat(levels);
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"v","type":{open}"int"{close}}}]}}"#)
    };
    let deep = Contract::parse(&nested(110)).unwrap();
    assert!(Plan::as_written(&deep).unwrap().read::<Value>(&[2; 200]).is_err());
    assert!(matches!(Contract::parse(&nested(130)), Err(SchemaError::Invalid(_))));
    assert!(matches!(Contract::parse(&nested(1_000)), Err(SchemaError::TooLarge { depth: 1_003, .. })));

    // And as deep through references as all of them together.
    let mut references = Vec::new();
    for number in 0..9 {
        let below = if number == 0 { "int".to_owned() } else { format!("R{}", number - 1) };
        let mut text = nested(58).replacen("\"R\"", &format!("\"R{number}\""), 1);
        text = text.replacen("\"int\"", &format!("\"{below}\""), 1);
        references.push(text);
    }
    let whole = references.pop().unwrap();
    let error = Contract::parse_with_references(&whole, &references).unwrap_err();
    assert!(matches!(error, SchemaError::TooLarge { .. }), "{error}");
    let whole = references.pop().unwrap();
    assert!(Contract::parse_with_references(&whole, &references).is_ok());
}

#[test]
fn odd_names_are_refused_and_never_a_panic() {
    for name in ["", " ", "a b", "1a", "ä", "a..b", ".a", "a.", "a-b", "a\u{0}b", "\u{202e}a", "a\"b", "record", "null"]
    {
        let named = parse(&json!({"type": "record", "name": name, "fields": [{"name": name, "type": "int"}]}));
        let field = parse(&json!({"type": "record", "name": "R", "fields": [{"name": name, "type": "int"}]}));
        let symbol = parse(&json!({"type": "record", "name": "R", "fields": [
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": [name]}}]}));
        for outcome in [named, field, symbol] {
            match outcome {
                Ok(contract) => drop(Plan::as_written(&contract)),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
    assert!(parse(&json!({"type": "record", "name": "a b", "fields": []})).is_err());
}

#[test]
fn a_default_that_does_not_match_its_type_is_refused_with_the_field() {
    let nothing = contract(&json!({"type": "record", "name": "R", "fields": []}));
    for (of, default) in [
        (json!("int"), json!("text")),
        (json!("int"), json!(5_000_000_000_i64)),
        (json!("string"), json!(7)),
        (json!({"type": "array", "items": "int"}), json!({})),
        (json!({"type": "fixed", "name": "F", "size": 2}), json!("abc")),
        (json!({"type": "enum", "name": "E", "symbols": ["A"]}), json!("B")),
        (json!({"type": "record", "name": "N", "fields": [{"name": "n", "type": "int"}]}), json!({})),
        (json!("null"), json!(0)),
    ] {
        let schema = json!({"type": "record", "name": "R", "fields": [{"name": "v", "type": of, "default": default}]});
        let mut said = String::new();
        match parse(&schema) {
            Ok(reader) => {
                let error = Plan::resolve(&nothing, &reader).unwrap_err().to_string();
                assert!(error.starts_with("field `v`: its default does not fit its type: "), "{error}");
            }
            Err(error) => write!(said, "{error:?}").unwrap(),
        }
        assert!(said.is_empty() || said.contains("efault"), "{said}");
    }
}

#[test]
fn two_fields_that_claim_the_same_one_get_it_once() {
    let writer = record(&json!([{"name": "a", "type": "int"}]));
    let reader =
        record(&json!([{"name": "a", "type": "int"}, {"name": "b", "aliases": ["a"], "type": "int", "default": 5}]));
    let read = Plan::resolve(&writer, &reader).unwrap().read::<Value>(&[14]).unwrap();
    assert_eq!(read, json!({"a": 7, "b": 5}));
}
