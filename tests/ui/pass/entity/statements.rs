//! The statements are what they should be, with every name quoted.

use std::borrow::Cow;

use tidings::Key;
use tidings_ui_tests::Entity;
use tidings_ui_tests::__private::entity::{Row, Table as _, Values};
use tidings_ui_tests::database::{DeleteEntity, Entity as _};

#[derive(Clone, Default, Debug, PartialEq)]
struct Id {
    guild: i64,
    member: i64,
}

impl Key for Id {
    fn to_key(&self) -> Cow<'_, str> {
        format!("{}:{}", self.guild, self.member).into()
    }
}

#[derive(Entity, Clone)]
#[entity(table = "clubs.order", version = "row version", delete, crate = tidings_ui_tests)]
struct Membership {
    #[entity(column = "rank of member")]
    rank: i64,
    #[entity(key, columns(guild, member = "member_id"))]
    id: Id,
    r#type: String,
}

#[derive(Entity, Clone)]
#[entity(table = "account", crate = tidings_ui_tests)]
struct Account {
    #[entity(key = str)]
    id: String,
}

fn can_be_deleted<A: DeleteEntity>(_: &A) {}

fn main() {
    let statements = Membership::STATEMENTS;
    assert_eq!(
        statements.load,
        "SELECT `rank of member`, `type`, `guild`, `member_id`, `row version` FROM `clubs`.`order` \
         WHERE `guild` = ? AND `member_id` = ?"
    );
    assert_eq!(statements.load_for_update, format!("{} FOR UPDATE", statements.load));
    assert_eq!(
        statements.insert,
        "INSERT INTO `clubs`.`order` (`rank of member`, `type`, `guild`, `member_id`, `row version`) VALUES (?, ?, ?, ?, ?)"
    );
    assert_eq!(
        statements.update,
        "UPDATE `clubs`.`order` SET `rank of member` = ?, `type` = ?, `row version` = `row version` + 1 \
         WHERE `guild` = ? AND `member_id` = ? AND `row version` = ?"
    );
    assert_eq!(statements.delete, "DELETE FROM `clubs`.`order` WHERE `guild` = ? AND `member_id` = ?");
    assert_eq!(statements.delete_version, format!("{} AND `row version` = ?", statements.delete));
    assert!(statements.deletes);

    let membership = Membership { rank: 3, id: Id { guild: 1, member: 2 }, r#type: "member".to_owned() };
    let mut values = Values::default();
    membership.add_columns(&mut values).unwrap();
    Membership::add_key(membership.key(), &mut values).unwrap();
    assert_eq!(values.0, ["3", "member", "1", "2"]);
    assert_eq!(Membership::read(&Row).unwrap().id, Id::default());
    can_be_deleted(&membership);

    let account = Account { id: "7".to_owned() };
    let key: &str = account.key();
    assert_eq!(key, "7");
    // Nothing but a key and a version.
    assert_eq!(Account::STATEMENTS.update, "UPDATE `account` SET `version` = `version` + 1 WHERE `id` = ? AND `version` = ?");
    assert!(!Account::STATEMENTS.deletes);
}
