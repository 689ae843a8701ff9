#[automatically_derived]
impl ::tidings::Event for UserUpdated {
    const NAME: &'static ::core::primitive::str = "accounts.UserUpdated";
    const VERSION: &'static ::core::primitive::str = "1.3.0";
    const SCHEMA: &'static ::core::primitive::str = ::core::include_str!(
        "$WORKSPACE/schemas/accounts/UserUpdated.avsc"
    );
    const ENTITY: &'static ::core::primitive::str = "accounts";
    fn key(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
        <i64 as ::tidings::Key>::to_key(&self.user_id)
    }
}
