//! The schemas in a folder, with the versions of them that were released.

use std::path::{Path, PathBuf};

use semver::Version;
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::schemas::{SchemaFile, entries, read_file};
use crate::schema::compatibility::{CompatibilityMode, stated_version};
use crate::schema::contract::Contract;

/// The folder of a source's released versions.
pub(super) const RELEASED: &str = "released";

/// An event's schema, and what it was before.
#[derive(Debug)]
pub(in crate::cli) struct EventHistory {
    /// The source: the folder's name.
    pub(in crate::cli) source: String,
    /// The event: the full name of its record.
    pub(in crate::cli) event: String,
    /// The source's folder.
    folder: PathBuf,
    /// What is being worked on; `None` where only releases are left.
    pub(in crate::cli) working: Option<Revision>,
    /// What was released, the lowest version first.
    pub(in crate::cli) releases: Vec<Release>,
}

/// A schema in a file.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Revision {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) text: String,
    /// The version it states.
    pub(in crate::cli) version: Option<Version>,
}

/// A version that was released.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Release {
    pub(in crate::cli) version: Version,
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) text: String,
}

impl EventHistory {
    /// The version released last.
    pub(super) fn last(&self) -> Option<&Release> {
        self.releases.last()
    }

    /// The subject its versions are registered under.
    pub(super) fn subject(&self, topic: Option<&String>) -> String {
        crate::schema::Codec::subject(topic.unwrap_or(&self.source), &self.event)
    }

    /// The mode its schema states.
    pub(super) fn stated_mode(&self) -> Result<Option<CompatibilityMode>, CliError> {
        let Some(working) = &self.working else { return Ok(None) };
        let schema: Value = serde_json::from_str(&working.text).unwrap_or_default();
        let Some(mode) = schema.get("tidings.compatibility") else { return Ok(None) };
        let shown = working.path.display();
        let mode = mode
            .as_str()
            .ok_or_else(|| CliError::usage(format!("\"tidings.compatibility\" of {shown} is not text")))?;
        mode.parse().map(Some).map_err(|error| {
            CliError::usage(format!("\"tidings.compatibility\" of {shown} cannot be used")).caused_by(&error)
        })
    }

    /// Where `version` is, or will be, kept.
    pub(super) fn release_path(&self, version: &Version) -> PathBuf {
        self.folder.join(RELEASED).join(last_part(&self.event)).join(format!("{version}.avsc"))
    }

    /// The text of a version: a release, or what is being worked on where `version` is `None` or its own.
    pub(super) fn revision(&self, version: Option<&Version>) -> Result<(String, &str), CliError> {
        let working = self.working.as_ref();
        if let Some(release) =
            version.and_then(|wanted| self.releases.iter().find(|release| release.version == *wanted))
        {
            return Ok((release.version.to_string(), &release.text));
        }
        let found = working.filter(|working| version.is_none_or(|wanted| working.version.as_ref() == Some(wanted)));
        let name = |working: &Revision| match &working.version {
            Some(version) => version.to_string(),
            None => "the working tree".to_owned(),
        };
        found.map(|working| (name(working), working.text.as_str())).ok_or_else(|| {
            let known: Vec<_> = self.releases.iter().map(|release| release.version.to_string()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            CliError::usage(match version {
                Some(version) => format!("{} has no version {version}; released: {known}", self.event),
                None => format!("{} has no schema in the working tree; released: {known}", self.event),
            })
        })
    }

    /// Whether `wanted` means it: its full name, its last part, or its source.
    fn is_meant(&self, wanted: &str) -> bool {
        self.event == wanted || last_part(&self.event) == wanted || self.source == wanted
    }
}

/// Read the schemas of the sources in `folder`: those of `wanted`, or all.
pub(in crate::cli) fn read(folder: &Path, wanted: &[String]) -> Result<Vec<EventHistory>, CliError> {
    let mut histories = Vec::new();
    for source in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        histories.extend(of_source(&source)?);
    }
    if let Some(unknown) = wanted.iter().find(|wanted| !histories.iter().any(|history| history.is_meant(wanted))) {
        let known: Vec<_> = histories.iter().map(|history| history.event.as_str()).collect();
        let folder = folder.display();
        return Err(CliError::usage(format!(
            "there is no event or source {unknown} in {folder}; there are: {}",
            known.join(", ")
        )));
    }
    histories.retain(|history| wanted.is_empty() || wanted.iter().any(|wanted| history.is_meant(wanted)));
    Ok(histories)
}

/// The one event that `wanted` means.
pub(super) fn one(folder: &Path, wanted: &str) -> Result<EventHistory, CliError> {
    let mut found = read(folder, &[wanted.to_owned()])?;
    match (found.pop(), found.as_slice()) {
        (Some(one), []) => Ok(one),
        (last, others) => {
            let names: Vec<_> = others.iter().chain(&last).map(|history| history.event.as_str()).collect();
            Err(CliError::usage(format!("{wanted} may be any of {}: name one of them", names.join(", "))))
        }
    }
}

fn of_source(folder: &Path) -> Result<Vec<EventHistory>, CliError> {
    let source = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let new = |event: String| EventHistory {
        source: source.clone(),
        event,
        folder: folder.to_owned(),
        working: None,
        releases: Vec::new(),
    };
    let mut histories: Vec<EventHistory> = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| is_schema(path)) {
        let file = checked(&path)?;
        if let Some(known) = histories.iter().find(|known| known.event == file.record) {
            let other = known.working.as_ref().map(|working| working.path.display().to_string()).unwrap_or_default();
            let message = format!("{} and {other} are both schemas of {}; keep one", path.display(), file.record);
            return Err(CliError::usage(message));
        }
        let version = version_of(&file)?;
        let mut history = new(file.record);
        history.working = Some(Revision { path: file.path, text: file.text, version });
        histories.push(history);
    }
    let released = folder.join(RELEASED);
    if !released.is_dir() {
        return Ok(histories);
    }
    for event in entries(&released)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&event)?.into_iter().filter(|path| is_schema(path)) {
            let (record, release) = released_version(&path)?;
            // A record that was renamed keeps its folder, and its history.
            let simple = event.file_name().unwrap_or_default().to_string_lossy();
            let owner = histories.iter_mut().find(|history| last_part(&history.event) == simple);
            match owner {
                Some(history) => history.releases.push(release),
                None => {
                    let mut history = new(record);
                    history.releases.push(release);
                    histories.push(history);
                }
            }
        }
    }
    for history in &mut histories {
        history.releases.sort_by(|left, right| left.version.cmp(&right.version));
    }
    histories.sort_by(|left, right| left.event.cmp(&right.event));
    Ok(histories)
}

fn released_version(path: &Path) -> Result<(String, Release), CliError> {
    let file = checked(path)?;
    let shown = path.display();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let version: Version = name.parse().map_err(|error| {
        CliError::usage(format!("{shown} is not called after its version, such as 1.2.0.avsc")).caused_by(&error)
    })?;
    if let Some(stated) = version_of(&file)?.filter(|stated| *stated != version) {
        let message =
            format!("{shown} states \"tidings.version\": \"{stated}\", and its name another version; correct one");
        return Err(CliError::usage(message));
    }
    Ok((file.record, Release { version, path: file.path, text: file.text }))
}

fn checked(path: &Path) -> Result<SchemaFile, CliError> {
    let file = read_file(path)?;
    Contract::parse(&file.text)
        .map_err(|error| CliError::usage(format!("{} is no schema of an event", path.display())).caused_by(&error))?;
    Ok(file)
}

fn version_of(file: &SchemaFile) -> Result<Option<Version>, CliError> {
    let schema: Value = serde_json::from_str(&file.text).unwrap_or_default();
    match (schema.get("tidings.version"), stated_version(&file.text)) {
        (Some(stated), None) => {
            let shown = file.path.display();
            Err(CliError::usage(format!(
                "\"tidings.version\" of {shown} is {stated}, not a semantic version such as \"1.2.0\""
            )))
        }
        (_, version) => Ok(version),
    }
}

fn is_schema(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "avsc")
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
