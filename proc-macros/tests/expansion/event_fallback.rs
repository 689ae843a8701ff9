::core::compile_error! {
    "\"UserUpdated\" is not an event name: it has no dot\nhelp: a namespace, a dot and the event in the past tense, e.g. \"accounts.UserUpdated\""
}
::core::compile_error! {
    "invalid version \"1.3\": unexpected end of input while parsing minor version number\nhelp: a semantic version of the payload, e.g. \"1.3.0\""
}
::core::compile_error! {
    "`UserUpdated` has no key: events of one key, usually the user's id, stay in order\nhelp: mark one field with `#[event(key)]`"
}
::core::compile_error! {
    "cannot find the schema file `schemas/accounts/nowhere.avsc`\nnote: looked beside this source file and in every folder above it, up to the workspace's root; then in the package's folder and those above it\nhelp: write the path relative to one of them, e.g. \"schemas/accounts/UserUpdated.avsc\""
}
#[automatically_derived]
impl ::tidings::Event for UserUpdated {
    const NAME: &'static ::core::primitive::str = "";
    const VERSION: &'static ::core::primitive::str = "";
    const SCHEMA: &'static ::core::primitive::str = "";
    const ENTITY: &'static ::core::primitive::str = "";
    fn key(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
        ::core::unreachable!()
    }
}
