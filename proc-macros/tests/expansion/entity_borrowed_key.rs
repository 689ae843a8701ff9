#[automatically_derived]
impl ::tidings::database::Entity for Account {
    type Key = text;
    fn key(&self) -> &Self::Key {
        ::std::borrow::Borrow::<text>::borrow(&self.id)
    }
    fn load(
        connection: ::tidings::database::Connection<'_>,
        key: &Self::Key,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            ::core::option::Option<::tidings::database::Versioned<Self>>,
            ::tidings::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        ::tidings::__private::entity::load::<Self>(connection, key)
    }
    fn load_for_update(
        connection: ::tidings::database::Connection<'_>,
        key: &Self::Key,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            ::core::option::Option<::tidings::database::Versioned<Self>>,
            ::tidings::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        ::tidings::__private::entity::load_for_update::<Self>(connection, key)
    }
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
        ::tidings::__private::entity::save(self, connection, expected)
    }
}
#[automatically_derived]
impl ::tidings::__private::entity::Table for Account {
    const STATEMENTS: ::tidings::__private::entity::Statements = ::tidings::__private::entity::Statements {
        load: "SELECT `id`, `version` FROM `account` WHERE `id` = ?",
        load_for_update: "SELECT `id`, `version` FROM `account` WHERE `id` = ? FOR UPDATE",
        insert: "INSERT INTO `account` (`id`, `version`) VALUES (?, ?)",
        update: "UPDATE `account` SET `version` = `version` + 1 WHERE `id` = ? AND `version` = ?",
        delete: "DELETE FROM `account` WHERE `id` = ?",
        delete_version: "DELETE FROM `account` WHERE `id` = ? AND `version` = ?",
        deletes: false,
    };
    fn add_columns(
        &self,
        values: &mut ::tidings::__private::entity::Values,
    ) -> ::core::result::Result<(), ::tidings::database::sqlx::Error> {
        ::core::result::Result::Ok(())
    }
    fn add_key(
        key: &Self::Key,
        values: &mut ::tidings::__private::entity::Values,
    ) -> ::core::result::Result<(), ::tidings::database::sqlx::Error> {
        values.add::<Self::Key>(key)?;
        ::core::result::Result::Ok(())
    }
    fn read(
        row: &::tidings::__private::entity::Row,
    ) -> ::core::result::Result<Self, ::tidings::database::sqlx::Error> {
        ::core::result::Result::Ok(Self {
            id: row.get::<Text>(0usize, "id")?,
        })
    }
}
