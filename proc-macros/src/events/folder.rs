//! Reads the schemas of a folder.

use std::path::{Path, PathBuf};

use syn::LitStr;

use crate::diagnostics::Diagnostics;
use crate::event::schema::{Record, Schema};
use crate::event::{locate, schema_parse};

/// Released versions lie in it: they have the names of the present ones.
const RELEASED: &str = "released";

/// A schema's file.
pub(super) struct SchemaFile {
    /// The absolute path.
    pub(super) path: String,
    pub(super) schema: Schema,
}

impl SchemaFile {
    pub(super) fn record(&self) -> &Record {
        &self.schema.record
    }
}

/// The schemas of the folder and of those in it, by name.
pub(super) fn read(literal: &LitStr, diagnostics: &mut Diagnostics) -> Vec<SchemaFile> {
    let folder = literal.value();
    let Some(root) = locate::find_folder(&folder, literal.span()) else {
        let message = format!(
            "cannot find the folder of schemas `{folder}`\n\
             note: looked beside this source file and in every folder above it, up to the workspace's root; then in the \
             package's folder and those above it\n\
             help: write the path relative to one of them, e.g. \"schemas/accounts\""
        );
        diagnostics.error(literal, message);
        return Vec::new();
    };
    let mut paths = Vec::new();
    if let Err(error) = collect(&root, &mut paths) {
        diagnostics.error(literal, format!("cannot read the folder of schemas `{folder}`: {error}"));
    }
    if paths.is_empty() && diagnostics.is_empty() {
        let message = format!(
            "`{folder}` has no schemas\nhelp: an event's schema is a file there, such as `{folder}/UserUpdated.avsc`"
        );
        diagnostics.error(literal, message);
    }
    let mut files = Vec::new();
    for path in paths {
        let within = path.strip_prefix(&root).unwrap_or(&path).display();
        let label = format!("{folder}/{within}");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{label}`: {error}"));
        let record = text.and_then(|text| {
            schema_parse::parse(&text).map_err(|fault| {
                format!("`{label}` is not the schema of a payload: {}", schema_parse::describe(&label, &fault))
            })
        });
        match (record, path.to_str()) {
            (Ok(record), Some(path)) => {
                files.push(SchemaFile { path: path.to_owned(), schema: Schema { label, record } });
            }
            (Ok(_), None) => {
                diagnostics.error(literal, format!("the path of `{label}` is not UTF-8, so it cannot be included"));
            }
            (Err(message), _) => diagnostics.error(literal, message),
        }
    }
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != RELEASED) {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "avsc") {
            paths.push(path);
        }
    }
    Ok(())
}
