::core::compile_error! {
    "\"a`b\" cannot be a table: it holds a backquote, which quotes it\nhelp: `table = \"account\"`, or `table = \"shop.account\"` for one of another database"
}
::core::compile_error! {
    "`Account` has no key, which it is found by\nhelp: mark the field of the primary key with `#[entity(key)]`"
}
#[automatically_derived]
impl ::tidings::database::Entity for Account {
    type Key = ::core::primitive::str;
    fn key(&self) -> &Self::Key {
        ::core::unreachable!()
    }
    #[allow(unused_variables)]
    fn load(
        connection: ::tidings::database::Connection<'_>,
        key: &Self::Key,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            ::core::option::Option<::tidings::database::Versioned<Self>>,
            ::tidings::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        ::core::future::pending()
    }
    #[allow(unused_variables)]
    fn save(
        &self,
        connection: ::tidings::database::Connection<'_>,
        expected: ::core::option::Option<::core::primitive::u64>,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            ::tidings::database::Saved,
            ::tidings::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        ::core::future::pending()
    }
}
