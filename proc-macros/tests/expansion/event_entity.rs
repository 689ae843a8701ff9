#[automatically_derived]
impl crate::events::Event for MemberJoined {
    const NAME: &'static ::core::primitive::str = "guilds.MemberJoined";
    const VERSION: &'static ::core::primitive::str = "2.0.0-rc.1";
    const SCHEMA: &'static ::core::primitive::str = r#"{"type": "record", "name": "MemberJoined", "namespace": "guilds", "fields": [
                {"name": "guild", "type": "string"}, {"name": "member", "type": "long"}]}"#;
    const ENTITY: &'static ::core::primitive::str = "Membership";
    fn key(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
        <Text as crate::events::Key>::to_key(&self.r#guild)
    }
    fn entity_id(&self) -> ::std::borrow::Cow<'_, ::core::primitive::str> {
        <i64 as crate::events::Key>::to_key(&self.member)
    }
}
