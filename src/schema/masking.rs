//! Hides what a schema marks as sensitive.

use apache_avro::Schema;
use apache_avro::schema::ResolvedSchema;
use serde_json::Value;

use super::contract::Contract;
use super::marks::is_marked;
use super::plan::{Base, Located, base, branch_name};

/// What is shown in place of a value.
pub(crate) const MASKED: &str = "***";

/// Deeper values are hidden as a whole.
const MAX_DEPTH: usize = 128;

/// Replace the values of `payload` that `contract` marks with `"pii": true`; whether there were any.
///
/// The payload may be of another version of the schema: what has the name of a marked field is hidden, or one it had before.
pub(crate) fn mask(contract: &Contract, payload: &mut Value) -> bool {
    match ResolvedSchema::new(contract.schema()) {
        Ok(names) => hide(Located::root(contract.schema(), names.get_names()), payload),
        Err(_) => hide_all(payload),
    }
}

/// Hide a value, whatever it is.
pub(crate) fn hide_all(payload: &mut Value) -> bool {
    *payload = MASKED.into();
    true
}

fn hide(at: Located<'_>, value: &mut Value) -> bool {
    if at.depth() > MAX_DEPTH {
        return hide_all(value);
    }
    let Ok(at) = at.definition() else { return hide_all(value) };
    match (base(at.schema), value) {
        (Base::Record(record), value) if is_marked(record.attributes.get("pii")) => hide_all(value),
        (Base::Record(record), Value::Object(fields)) => {
            let mut hidden = false;
            for field in &record.fields {
                let marked = is_marked(field.custom_attributes.get("pii"));
                for name in std::iter::once(&field.name).chain(&field.aliases) {
                    if let Some(value) = fields.get_mut(name) {
                        hidden |= if marked { hide_all(value) } else { hide(at.part(&field.schema), value) };
                    }
                }
            }
            hidden
        }
        (Base::Array(items), Value::Array(values)) => {
            values.iter_mut().fold(false, |hidden, value| hide(at.part(items), value) | hidden)
        }
        (Base::Map(values), Value::Object(entries)) => {
            entries.values_mut().fold(false, |hidden, value| hide(at.part(values), value) | hidden)
        }
        (Base::Union(_), Value::Null) => false,
        (Base::Union(union), value) => hide_branch(at, union.variants(), value),
        _ => false,
    }
}

/// Of null and one other type the value stands bare, of other unions it is `{"type": value}`.
fn hide_branch(at: Located<'_>, variants: &[Schema], value: &mut Value) -> bool {
    let branches: Vec<_> = variants.iter().filter_map(|variant| at.part(variant).definition().ok()).collect();
    let mut hidden = false;
    let mut is_branch = false;
    if let Value::Object(object) = &mut *value
        && object.len() == 1
    {
        for (name, inner) in object.iter_mut() {
            for branch in branches.iter().filter(|branch| is_called(branch.schema, name)) {
                is_branch = true;
                hidden |= hide(*branch, inner);
            }
        }
    }
    if is_branch && branches.len() > 2 {
        return hidden;
    }
    // Of another version's union it may stand bare too: whatever any of the branches marks is hidden.
    branches.into_iter().fold(hidden, |hidden, branch| hide(branch, value) | hidden)
}

/// Whether a union calls a type so, or did by a name it had before.
fn is_called(schema: &Schema, name: &str) -> bool {
    branch_name(schema) == name || former_names(schema).any(|former| former == name)
}

/// The full names that a record had before.
pub(crate) fn former_names(schema: &Schema) -> impl Iterator<Item = String> {
    let Base::Record(record) = base(schema) else { return None.into_iter().flatten() };
    let aliases = record.aliases.iter().flatten();
    Some(aliases.map(|alias| alias.fullname(record.name.namespace()))).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(fields: &Value, mut value: Value) -> (Value, bool) {
        let schema = json!({"type": "record", "name": "R", "fields": fields}).to_string();
        let hidden = mask(&Contract::parse(&schema).unwrap(), &mut value);
        (value, hidden)
    }

    #[test]
    fn marked_fields_are_hidden_wherever_they_are() {
        let address = json!({"type": "record", "name": "Address", "fields": [
            {"name": "city", "type": "string"}, {"name": "street", "type": "string", "pii": true}]});
        let fields = json!([
            {"name": "id", "type": "long"},
            {"name": "mail", "type": ["null", "string"], "default": null, "pii": true},
            {"name": "home", "type": ["null", address], "default": null},
            {"name": "others", "type": {"type": "array", "items": "Address"}},
            {"name": "by_name", "type": {"type": "map", "values": "Address"}},
            {"name": "either", "type": ["null", "string", "Address"]},
            {"name": "secret", "type": {"type": "record", "name": "Secret", "pii": true, "fields": []}}]);
        let place = json!({"city": "Łódź", "street": "Piotrkowska 1"});
        let hidden = json!({"city": "Łódź", "street": "***"});
        let value = json!({"id": 1, "mail": "a@b.example", "home": place, "others": [place, place], "by_name": {"a": place},
            "either": {"Address": place}, "secret": {}});
        let expected = json!({"id": 1, "mail": "***", "home": hidden, "others": [hidden, hidden], "by_name": {"a": hidden},
            "either": {"Address": hidden}, "secret": "***"});
        assert_eq!(masked(&fields, value), (expected, true));
        let absent = json!({"id": 1, "home": null, "others": [], "by_name": {}, "either": {"string": "x"}});
        assert_eq!(masked(&fields, absent.clone()), (absent, false));
    }

    #[test]
    fn a_payload_of_another_version_is_hidden_by_the_fields_names() {
        let fields = json!([{"name": "mail", "type": "string", "pii": true}, {"name": "home", "type": "string"}]);
        let value = json!({"mail": {"user": "a", "host": "b"}, "home": ["x"], "old": 1});
        assert_eq!(masked(&fields, value), (json!({"mail": "***", "home": ["x"], "old": 1}), true));
        assert_eq!(
            masked(&json!([{"name": "mail", "type": "string", "pii": "no"}]), json!({"mail": "a"})).0["mail"],
            "a"
        );
    }

    #[test]
    fn a_recursive_record_is_hidden_to_its_end() {
        let fields = json!([{"name": "chain", "type": {"type": "record", "name": "Link", "fields": [
            {"name": "name", "type": "string", "pii": true}, {"name": "next", "type": ["null", "Link"], "default": null}]}}]);
        let value = json!({"chain": {"name": "a", "next": {"name": "b", "next": null}}});
        assert_eq!(masked(&fields, value).0, json!({"chain": {"name": "***", "next": {"name": "***", "next": null}}}));
    }

    #[test]
    fn what_a_field_was_called_before_is_hidden_too() {
        let fields = json!([{"name": "email", "aliases": ["mail", "e_mail"], "type": "string", "pii": true},
            {"name": "home", "aliases": ["house"], "type": {"type": "record", "name": "Home", "fields": [
                {"name": "street", "aliases": ["road"], "type": "string", "pii": true}]}}]);
        let value = json!({"mail": "a", "e_mail": "b", "house": {"road": "c", "city": "d"}, "other": 1});
        let hidden = json!({"mail": "***", "e_mail": "***", "house": {"road": "***", "city": "d"}, "other": 1});
        assert_eq!(masked(&fields, value), (hidden, true));
    }

    #[test]
    fn a_branch_is_hidden_under_the_name_it_had_before() {
        let branch = |name: &str| {
            json!({"type": "record", "name": name, "namespace": "b", "aliases": ["Old", "a.Older"], "fields": [
                {"name": "street", "type": "string", "pii": true}]})
        };
        for others in [json!(["null"]), json!(["null", "string"])] {
            let mut union = others.clone();
            union.as_array_mut().unwrap().push(branch("Home"));
            let fields = json!([{"name": "home", "type": union}]);
            for name in ["b.Home", "b.Old", "a.Older"] {
                let value = |street: &str| json!({"home": {name: {"street": street}}});
                assert_eq!(masked(&fields, value("x")), (value("***"), true), "{others} {name}");
            }
        }
    }
}
