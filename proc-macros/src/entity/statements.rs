//! The statements of an entity, as text that MySQL and SQLite both understand: SQLite takes MySQL's quotes.

use super::ast::Entity;

pub(crate) struct Statements {
    pub(crate) load: String,
    pub(crate) load_for_update: String,
    pub(crate) insert: String,
    pub(crate) update: String,
    pub(crate) delete: String,
    pub(crate) delete_version: String,
}

impl Statements {
    /// The statements of an entity without errors. Values are bound in this order: the columns, the key, the version.
    pub(crate) fn of(entity: &Entity<'_>) -> Self {
        let table = entity.table.as_ref().map(syn::LitStr::value).unwrap_or_default();
        let table = table.split('.').map(quoted).collect::<Vec<_>>().join(".");
        let version = quoted(&entity.version_column());
        let mut columns = Vec::new();
        let mut key = Vec::new();
        for field in &entity.fields {
            match (&field.key, &field.columns) {
                (Some(_), Some(several)) => key.extend(several.columns.iter().map(|column| quoted(&column.column()))),
                (Some(_), None) => key.push(quoted(&field.column())),
                (None, _) => columns.push(quoted(&field.column())),
            }
        }
        let found = key.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(" AND ");
        let next = format!("{version} = {version} + 1");
        let set = columns.iter().map(|column| format!("{column} = ?")).chain([next]).collect::<Vec<_>>().join(", ");
        columns.append(&mut key);
        columns.push(version.clone());
        let places = vec!["?"; columns.len()].join(", ");
        let columns = columns.join(", ");
        let load = format!("SELECT {columns} FROM {table} WHERE {found}");
        let delete = format!("DELETE FROM {table} WHERE {found}");
        Self {
            load_for_update: format!("{load} FOR UPDATE"),
            load,
            insert: format!("INSERT INTO {table} ({columns}) VALUES ({places})"),
            update: format!("UPDATE {table} SET {set} WHERE {found} AND {version} = ?"),
            delete_version: format!("{delete} AND {version} = ?"),
            delete,
        }
    }
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}
