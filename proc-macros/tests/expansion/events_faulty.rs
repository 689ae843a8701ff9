::core::compile_error! {
    "field `either` of `faulty.Union`: the union has more than one branch `long`, and a payload says only that it is one\ntests/schemas/faulty/Union.avsc:4: {\"name\": \"either\", \"type\": [\"long\", {\"type\": \"long\", \"logicalType\": \"timestamp-micros\"}]}\nhelp: a logical type is no branch of its own; leave one out"
}
::core::compile_error! {
    "field `nothing` of `faulty.Union`: a union of nothing, or of nothing but null, holds no value\ntests/schemas/faulty/Union.avsc:5: {\"name\": \"nothing\", \"type\": []}\nhelp: name its types"
}
::core::compile_error! {
    "field `small` of `faulty.Union`: a decimal has a \"precision\" of 1 to 4 digits here\ntests/schemas/faulty/Union.avsc:6: {\"name\": \"small\", \"type\": {\"type\": \"fixed\", \"name\": \"Small\", \"size\": 2, \"logicalType\": \"decimal\", \"precision\": 5, \"scale…\nhelp: \"precision\": 4, \"scale\": 2"
}
::core::compile_error! {
    "`faulty.Unversioned` states no version, which handlers choose events by\ntests/schemas/faulty/Unversioned.avsc:1: {\"type\": \"record\", \"name\": \"Unversioned\", \"namespace\": \"faulty\", \"fields\": [{\"name\": \"id\", \"type\": \"long\"}]}\nhelp: \"tidings.version\": \"1.0.0\" beside the record's name"
}
::core::compile_error! {
    "`faulty.Unversioned` has no key: events of one key, usually the user's id, stay in order\ntests/schemas/faulty/Unversioned.avsc:1: {\"type\": \"record\", \"name\": \"Unversioned\", \"namespace\": \"faulty\", \"fields\": [{\"name\": \"id\", \"type\": \"long\"}]}\nhelp: \"tidings.key\": true in one of its fields"
}
///The namespace `faulty`.
pub mod faulty {
    ///The record `faulty.Good`.
    #[derive(
        ::core::fmt::Debug,
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::tidings::__private::serde::Serialize,
        ::tidings::__private::serde::Deserialize,
        ::tidings::Event
    )]
    #[serde(crate = "::tidings::__private::serde", rename = "Good")]
    #[event(
        name = "faulty.Good",
        version = "1.0.0",
        schema = "$WORKSPACE/tests/schemas/faulty/Good.avsc",
        crate = ::tidings
    )]
    #[allow(
        non_camel_case_types,
        clippy::derive_partial_eq_without_eq,
        reason = "named and made as the schema says"
    )]
    pub struct Good {
        ///The field `id`.
        #[event(key)]
        pub id: ::core::primitive::i64,
    }
}
