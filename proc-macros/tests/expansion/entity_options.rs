#[automatically_derived]
impl crate::events::database::Entity for Membership {
    type Key = MembershipId;
    fn key(&self) -> &Self::Key {
        &self.r#id
    }
    fn load(
        connection: crate::events::database::Connection<'_>,
        key: &Self::Key,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            ::core::option::Option<crate::events::database::Versioned<Self>>,
            crate::events::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        crate::events::__private::entity::load::<Self>(connection, key)
    }
    fn load_for_update(
        connection: crate::events::database::Connection<'_>,
        key: &Self::Key,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            ::core::option::Option<crate::events::database::Versioned<Self>>,
            crate::events::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        crate::events::__private::entity::load_for_update::<Self>(connection, key)
    }
    fn save(
        &self,
        connection: crate::events::database::Connection<'_>,
        expected: ::core::option::Option<::core::primitive::u64>,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            crate::events::database::Saved,
            crate::events::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        crate::events::__private::entity::save(self, connection, expected)
    }
}
#[automatically_derived]
impl crate::events::database::DeleteEntity for Membership {
    fn delete(
        &self,
        connection: crate::events::database::Connection<'_>,
        expected: ::core::option::Option<::core::primitive::u64>,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            crate::events::database::Saved,
            crate::events::database::sqlx::Error,
        >,
    > + ::core::marker::Send {
        crate::events::__private::entity::delete(self, connection, expected)
    }
}
#[automatically_derived]
impl crate::events::__private::entity::Table for Membership {
    const STATEMENTS: crate::events::__private::entity::Statements = crate::events::__private::entity::Statements {
        load: "SELECT `order`, `type`, `guild`, `member_id`, `row_version` FROM `clubs`.`membership` WHERE `guild` = ? AND `member_id` = ?",
        load_for_update: "SELECT `order`, `type`, `guild`, `member_id`, `row_version` FROM `clubs`.`membership` WHERE `guild` = ? AND `member_id` = ? FOR UPDATE",
        insert: "INSERT INTO `clubs`.`membership` (`order`, `type`, `guild`, `member_id`, `row_version`) VALUES (?, ?, ?, ?, ?)",
        update: "UPDATE `clubs`.`membership` SET `order` = ?, `type` = ?, `row_version` = `row_version` + 1 WHERE `guild` = ? AND `member_id` = ? AND `row_version` = ?",
        delete: "DELETE FROM `clubs`.`membership` WHERE `guild` = ? AND `member_id` = ?",
        delete_version: "DELETE FROM `clubs`.`membership` WHERE `guild` = ? AND `member_id` = ? AND `row_version` = ?",
        deletes: true,
    };
    fn add_columns(
        &self,
        values: &mut crate::events::__private::entity::Values,
    ) -> ::core::result::Result<(), crate::events::database::sqlx::Error> {
        values.add_mysql::<Number>(&self.rank)?;
        values.add_mysql::<Text>(&self.r#type)?;
        ::core::result::Result::Ok(())
    }
    fn add_key(
        key: &Self::Key,
        values: &mut crate::events::__private::entity::Values,
    ) -> ::core::result::Result<(), crate::events::database::sqlx::Error> {
        values.add_mysql(&key.guild)?;
        values.add_mysql(&key.member)?;
        ::core::result::Result::Ok(())
    }
    fn read(
        row: &crate::events::__private::entity::Row,
    ) -> ::core::result::Result<Self, crate::events::database::sqlx::Error> {
        ::core::result::Result::Ok(Self {
            rank: row.get_mysql::<Number>(0usize, "order")?,
            r#type: row.get_mysql::<Text>(1usize, "type")?,
            r#id: MembershipId {
                guild: row.get_mysql(2usize, "guild")?,
                member: row.get_mysql(3usize, "member_id")?,
            },
        })
    }
}
