//! What is wrong with an event's schema, given what it was before.

use semver::Version;

use super::finding::{Finding, Piece};
use super::history::{EventHistory, Revision};
use super::marks;
use crate::cli::error::CliError;
use crate::schema::compatibility::{Break, Change, CompatibilityMode, Direction, breaks, least_version};

/// A version that the schema is compared with.
#[derive(Debug)]
pub(super) struct Earlier {
    /// What to call it: `1.2.0`, or the registry's version.
    pub(super) name: String,
    /// Where its text is from: a file, or an address.
    pub(super) origin: String,
    pub(super) text: String,
    pub(super) version: Option<Version>,
}

/// What was found out about an event.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The version before, and the change since.
    pub(super) since: Option<(Version, Change)>,
    pub(super) findings: Vec<Finding>,
}

impl Judgement {
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_error)
    }
}

/// Judge what is being worked on, beside the releases and `others`, which are further versions, such as a registry's.
pub(super) fn judge(
    history: &EventHistory,
    mode: CompatibilityMode,
    others: Vec<Earlier>,
) -> Result<Judgement, CliError> {
    let event = &history.event;
    let Some(working) = &history.working else {
        let message = format!("{event} was released, and has no schema in the working tree");
        let help = "keep the schema as long as such events are on the topic".to_owned();
        return Ok(Judgement { since: None, findings: vec![Finding::new(false, message, help)] });
    };
    let mut earlier: Vec<Earlier> = history
        .releases
        .iter()
        .map(|release| Earlier {
            name: release.version.to_string(),
            origin: release.path.display().to_string(),
            text: release.text.clone(),
            version: Some(release.version.clone()),
        })
        .collect();
    let mut findings = marks::misplaced(event, working);
    for other in others {
        match known_already(&other, &earlier, working)? {
            Known::Yes => {}
            Known::No => earlier.push(other),
            Known::Otherwise(of) => findings.push(Finding::new(
                true,
                format!(
                    "{event} {of} is registered with another schema than the one in {}",
                    origin_of(&earlier, working, &of)
                ),
                "a version that was released stays as it is: raise the version for a change".to_owned(),
            )),
        }
    }
    // The oldest first; what states no version is not known to be old.
    earlier.sort_by(|left, right| match (&left.version, &right.version) {
        (Some(left), Some(right)) => left.cmp(right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    });
    let last = earlier.iter().filter_map(|version| version.version.as_ref().map(|number| (number, version)));
    let Some((number, last)) = last.max_by(|(left, _), (right, _)| left.cmp(right)) else {
        findings.extend(breaks_of_mode(event, working, mode, None, &earlier)?);
        return Ok(Judgement { since: None, findings });
    };
    let change = between(&last.text, &working.text)?;
    let of_version = check_version(event, working, number, change);
    let of_mode = breaks_of_mode(event, working, mode, Some(number), &earlier)?;
    // Where the version is too low for a change that the mode allows, only the breaks can say why.
    if of_version.is_some() && of_mode.iter().all(|finding| !finding.is_error) && change == Change::Major {
        for direction in [Direction::Backward, Direction::Forward] {
            for found in breaks_between(last, working, direction)? {
                findings.push(explained(event, working, last, &found, direction, false));
            }
        }
    }
    findings.extend(of_mode);
    findings.extend(of_version);
    Ok(Judgement { since: Some((number.clone(), change)), findings })
}

enum Known {
    Yes,
    No,
    /// A version of this number is known, and is another.
    Otherwise(Version),
}

/// Whether a version that a registry has is one of the files.
fn known_already(other: &Earlier, releases: &[Earlier], working: &Revision) -> Result<Known, CliError> {
    let files = releases.iter().map(|release| (release.version.as_ref(), release.text.as_str()));
    let files = files.chain([(working.version.as_ref(), working.text.as_str())]);
    for (version, text) in files {
        let same = between(text, &other.text)? == Change::None;
        match (&other.version, version) {
            (Some(stated), Some(version)) if stated == version => {
                return Ok(if same { Known::Yes } else { Known::Otherwise(version.clone()) });
            }
            _ if same => return Ok(Known::Yes),
            _ => {}
        }
    }
    Ok(Known::No)
}

fn origin_of(releases: &[Earlier], working: &Revision, version: &Version) -> String {
    let release = releases.iter().find(|release| release.version.as_ref() == Some(version));
    release.map_or_else(|| working.path.display().to_string(), |release| release.origin.clone())
}

/// The version has to rise by the kind of change.
fn check_version(event: &str, working: &Revision, last: &Version, change: Change) -> Option<Finding> {
    let least = least_version(last, change);
    let file = working.path.display();
    let Some(version) = &working.version else {
        let message = format!("{event} states no version, and {last} was released");
        return Some(Finding::new(true, message, format!("\"tidings.version\": \"{least}\" in {file}")));
    };
    let numbers = |version: &Version| (version.major, version.minor, version.patch);
    let high_enough = match change {
        Change::None => version >= last,
        _ => version > last && numbers(version) >= numbers(&least),
    };
    if high_enough {
        return None;
    }
    let message = match change {
        Change::None => format!("{event} says that it is {version}, and {last} was released"),
        change => format!("{event} says that it is {version}, and the change since {last} is {change}"),
    };
    Some(Finding::new(true, message, format!("\"tidings.version\": \"{least}\", or higher, in {file}")))
}

/// What breaks the mode. Versions of another major version may be broken: handlers choose by it.
fn breaks_of_mode(
    event: &str,
    working: &Revision,
    mode: CompatibilityMode,
    last: Option<&Version>,
    earlier: &[Earlier],
) -> Result<Vec<Finding>, CliError> {
    let mut findings = Vec::new();
    let mut told: Vec<(Direction, Break)> = Vec::new();
    let line = working.version.as_ref().or(last);
    let beside = earlier.iter().rev().filter(|version| match (line, &version.version) {
        (Some(line), Some(version)) => is_same_line(line, version),
        _ => true,
    });
    for version in beside.take(if mode.is_transitive() { usize::MAX } else { 1 }) {
        for &direction in mode.directions() {
            for found in breaks_between(version, working, direction)? {
                // One break is told once, beside the newest version that shows it.
                let is_told = |(known, other): &(Direction, Break)| {
                    *known == direction && other.field == found.field && other.rule == found.rule
                };
                if !told.iter().any(is_told) {
                    findings.push(explained(event, working, version, &found, direction, true));
                    told.push((direction, found));
                }
            }
        }
    }
    let other_lines: Vec<&str> = earlier
        .iter()
        .filter(|version| {
            version.version.as_ref().zip(line).is_some_and(|(version, line)| !is_same_line(line, version))
        })
        .filter(|version| breaks_between(version, working, Direction::Backward).is_ok_and(|found| !found.is_empty()))
        .map(|version| version.name.as_str())
        .collect();
    if !other_lines.is_empty() {
        let message =
            format!("{event} cannot read the events of {}: it is another major version", other_lines.join(", "));
        let help = "keep a handler for each major version, or an upcaster, as long as such events are on the topic; a registry that \
                    checks all versions of a subject takes the new one only while the subject's compatibility is NONE";
        findings.push(Finding::new(false, message, help.to_owned()));
    }
    Ok(findings)
}

/// Whether `^left` takes `right`.
fn is_same_line(left: &Version, right: &Version) -> bool {
    left.major == right.major && (left.major > 0 || left.minor == right.minor)
}

fn breaks_between(earlier: &Earlier, working: &Revision, direction: Direction) -> Result<Vec<Break>, CliError> {
    let (writer, reader) = match direction {
        Direction::Backward => (&earlier.text, &working.text),
        Direction::Forward => (&working.text, &earlier.text),
    };
    breaks(writer, reader).map_err(|error| unusable(&error))
}

fn between(old: &str, new: &str) -> Result<Change, CliError> {
    Change::between(old, new).map_err(|error| unusable(&error))
}

fn unusable(error: &crate::schema::SchemaError) -> CliError {
    CliError::usage("a schema cannot be compared").caused_by(error)
}

/// A break with both texts, and what to do.
fn explained(
    event: &str,
    working: &Revision,
    earlier: &Earlier,
    found: &Break,
    direction: Direction,
    is_error: bool,
) -> Finding {
    let name =
        working.version.as_ref().map_or_else(|| "the new schema".to_owned(), |version| format!("{event} {version}"));
    let before = if earlier.version.is_some() { format!("{event} {}", earlier.name) } else { earlier.name.clone() };
    let ((writer, reader), (new_at, old_at)) = match direction {
        Direction::Backward => ((&before, &name), (&found.read_at, &found.written_at)),
        Direction::Forward => ((&name, &before), (&found.written_at, &found.read_at)),
    };
    let new_label = if direction == Direction::Backward { "what is read now" } else { "what is written now" };
    let old_label = if direction == Direction::Backward { "what was written" } else { "what handlers read so far" };
    let piece = |origin: String, text: &str, at: &std::ops::Range<usize>, label: &str| Piece {
        origin,
        text: text.to_owned(),
        at: at.clone(),
        label: label.to_owned(),
    };
    let mut help = found.fix(direction);
    if is_error {
        help.push_str("; or make it a new major version");
    }
    Finding {
        is_error,
        message: format!("{reader} cannot read what {writer} writes: {found}"),
        pieces: vec![
            piece(working.path.display().to_string(), &working.text, new_at, new_label),
            piece(earlier.origin.clone(), &earlier.text, old_at, old_label),
        ],
        help: Some(help),
    }
}
