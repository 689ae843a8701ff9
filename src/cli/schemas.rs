//! Where the command gets schemas from: a registry, else a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::error::CliError;
use super::settings::{RegistryArguments, SchemasArguments, Settings};
use crate::schema::{Codec, ConfluentRegistry, LocalRegistry, RegistryOptions, SchemaRegistry};

/// The folder that is looked into when none is named.
const DEFAULT: &str = "schemas";

/// How deep folders are looked into: a link to a folder above would have no end.
const DEEPEST: usize = 6;

/// A file with a schema.
pub(super) struct SchemaFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The full name of its record.
    pub(super) record: String,
}

/// A codec, and where its schemas come from.
pub(super) struct Schemas {
    pub(super) codec: Codec,
    /// The registry, where there is one.
    pub(super) registry: Option<Arc<ConfluentRegistry>>,
    /// The folder: the one named, else the default where it is there.
    pub(super) folder: Option<PathBuf>,
    /// The folder's files, where there is no registry.
    pub(super) files: Vec<SchemaFile>,
}

impl Schemas {
    /// The folder's files, those nearest to it first, whether there is a registry or not.
    pub(super) fn present_files(&self) -> Result<Vec<SchemaFile>, CliError> {
        self.folder.as_deref().map(read_folder).transpose().map(Option::unwrap_or_default)
    }

    /// Of the registry, and make sure that it answers; else of the folder.
    pub(super) async fn open(
        settings: &Settings,
        registry: &RegistryArguments,
        folder: &SchemasArguments,
        adjust: impl FnOnce(RegistryOptions) -> RegistryOptions,
    ) -> Result<Self, CliError> {
        let folder = settings.schemas(folder).or_else(|| Path::new(DEFAULT).is_dir().then(|| DEFAULT.into()));
        if let Some(options) = settings.registry(registry)? {
            let registry = ConfluentRegistry::new(&adjust(options)).map_err(|error| CliError::unusable(&error))?;
            registry.ping().await.map_err(|error| CliError::failed(&error))?;
            let registry = Arc::new(registry);
            let codec = Codec::new(Arc::clone(&registry) as Arc<dyn SchemaRegistry>);
            return Ok(Self { codec, registry: Some(registry), folder, files: Vec::new() });
        }
        let codec = Codec::new(Arc::new(LocalRegistry::new()));
        let files = folder.as_deref().map(read_folder).transpose()?.unwrap_or_default();
        for file in &files {
            codec.learn(&file.text).map_err(|error| {
                CliError::usage(format!("{} is no schema of an event", file.path.display())).caused_by(&error)
            })?;
        }
        Ok(Self { codec, registry: None, folder, files })
    }
}

/// The folder of schemas: the one named, else the default.
pub(super) fn folder(settings: &Settings, arguments: &SchemasArguments) -> PathBuf {
    settings.schemas(arguments).unwrap_or_else(|| DEFAULT.into())
}

/// A schema from a file.
pub(super) fn read_file(path: &Path) -> Result<SchemaFile, CliError> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CliError::usage(format!("there is no schema file {shown}; correct the path")),
        _ => CliError::usage(format!("the schema file {shown} cannot be read")).caused_by(&error),
    })?;
    let json: Value = serde_json::from_str(&text)
        .map_err(|error| CliError::usage(format!("the schema file {shown} is not JSON")).caused_by(&error))?;
    let record = record_name(&json)
        .ok_or_else(|| CliError::usage(format!("the schema file {shown} is not the schema of a record with a name")))?;
    Ok(SchemaFile { path: path.to_owned(), text, record })
}

/// The schemas of `folder` and of the folders in it, those nearest to it first: older versions lie deeper.
fn read_folder(folder: &Path) -> Result<Vec<SchemaFile>, CliError> {
    let mut files = Vec::new();
    let mut level = vec![folder.to_owned()];
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for folder in level {
            for path in entries(&folder)? {
                if path.is_dir() {
                    next.push(path);
                } else if path.extension().is_some_and(|extension| extension == "avsc") {
                    files.push(read_file(&path)?);
                }
            }
        }
        level = next;
    }
    Ok(files)
}

/// What is in `folder`, by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let shown = folder.display();
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = read().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CliError::usage(format!("there is no folder {shown}; say where with --schemas")),
        _ => CliError::usage(format!("the folder {shown} cannot be read")).caused_by(&error),
    })?;
    paths.sort();
    Ok(paths)
}

fn record_name(schema: &Value) -> Option<String> {
    let name = schema.get("name")?.as_str()?;
    match schema.get("namespace").and_then(Value::as_str) {
        Some(namespace) if !namespace.is_empty() && !name.contains('.') => Some(format!("{namespace}.{name}")),
        _ => Some(name.to_owned()),
    }
}
