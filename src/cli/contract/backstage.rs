//! Backstage's `catalog-info.yaml`: the service as a component, its events as an API.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::services::Services;

/// The catalog's entries of `service`.
pub(super) fn catalog(services: &Services, service: &str, owner: &str) -> String {
    let publishes = services.sources.contains_key(service);
    let consumed: BTreeSet<&str> = services.handlers_of(service).map(|handler| handler.source.as_str()).collect();
    let mut yaml = String::new();
    let mut line = |line: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(yaml, "{line}");
    };
    line("apiVersion: backstage.io/v1alpha1");
    line("kind: Component");
    line("metadata:");
    line(&format!("  name: {}", quoted(&entity_name(service))));
    line("  tags: [\"kafka\", \"tidings\"]");
    line("spec:");
    line("  type: service");
    line("  lifecycle: production");
    line(&format!("  owner: {}", quoted(owner)));
    if publishes {
        line(&format!("  providesApis: [{}]", quoted(&api_name(service))));
    }
    if !consumed.is_empty() {
        let names: Vec<String> = consumed.iter().map(|source| quoted(&api_name(source))).collect();
        line(&format!("  consumesApis: [{}]", names.join(", ")));
    }
    if let Some(source) = services.sources.get(service) {
        line("---");
        line("apiVersion: backstage.io/v1alpha1");
        line("kind: API");
        line("metadata:");
        line(&format!("  name: {}", quoted(&api_name(service))));
        let names: Vec<&str> = source.events.iter().map(|event| event.name.as_str()).collect();
        line(&format!("  description: {}", quoted(&format!("The events of {service}: {}", names.join(", ")))));
        line("spec:");
        line("  type: asyncapi");
        line("  lifecycle: production");
        line(&format!("  owner: {}", quoted(owner)));
        line("  definition:");
        line("    $text: ./asyncapi.json");
    }
    yaml
}

/// A text as YAML: its double-quoted form is JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn api_name(source: &str) -> String {
    entity_name(&format!("{source}-events"))
}

/// Backstage's names have at most 63 letters, digits, hyphens, underscores and points.
fn entity_name(name: &str) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    name.chars().map(|character| if legal(character) { character } else { '-' }).take(63).collect()
}
