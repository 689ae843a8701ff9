//! Every option by its documented name, default and variable: in code, in files and in the environment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::{OPTIONS, SERVICE_VARIABLE, variable};
use super::*;

/// An option in the table of `docs/options.md`.
struct Row {
    option: &'static str,
    variable: &'static str,
    default: &'static str,
    policy: bool,
}

fn rows() -> Vec<Row> {
    let page = include_str!("../../../docs/options.md");
    let row = |line: &'static str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [option, variable, default, _, policy] = cells[..] else { panic!("{line}") };
        let plain = |cell: &'static str| cell.trim_matches('`');
        Row { option: plain(option), variable: plain(variable), default, policy: policy == "yes" }
    };
    page.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

/// The default as a file has it; nothing where the text says that there is none, or how it is made.
fn written(default: &str) -> Option<String> {
    let number = default.replace(',', "");
    if number.parse::<u64>().is_ok() || default == "true" || default == "false" {
        return Some(number);
    }
    let word = default.strip_prefix('`')?.strip_suffix('`')?;
    Some(format!("{word:?}"))
}

fn from_variable(option: &str, value: &str) -> ConsumerOptions {
    let variables = [(variable(option).into(), value.into())];
    ConsumerOptions::default().with_variables(variables).unwrap()
}

fn from_toml(option: &str, value: &str) -> ConsumerOptions {
    toml::from_str(&format!("{option} = {value}")).unwrap()
}

/// Another value of each option.
fn others() -> BTreeMap<&'static str, &'static str> {
    [
        ("start_from", "\"latest\""),
        ("on_exhausted", "\"park_key\""),
        ("order", "\"unordered\""),
        ("tenant_limits_file", "\"tenants.toml\""),
        ("parked_topic", "\"parked\""),
        ("create_parked_topic", "false"),
        ("dead_letter_topic", "\"letters\""),
        ("create_dead_letter_topic", "false"),
        ("health.show_keys", "true"),
    ]
    .into()
}

fn other(option: &str) -> &'static str {
    others().get(option).copied().unwrap_or("7")
}

#[test]
fn the_documentation_names_every_option_its_variable_and_its_default() {
    let rows = rows();
    let (kafka, own): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.option.starts_with("kafka."));
    assert_eq!(kafka.len(), 3);
    assert_eq!((own[0].option, own[0].variable), ("service", SERVICE_VARIABLE));
    let documented: Vec<_> = own[1..].iter().map(|row| row.option).collect();
    let known: Vec<_> = OPTIONS.iter().map(|(option, _)| *option).collect();
    assert_eq!(documented, known);
    for row in &own[1..] {
        assert_eq!(row.variable, variable(row.option));
        let Some(default) = written(row.default) else { continue };
        assert_eq!(from_toml(row.option, &default), ConsumerOptions::default(), "{} = {default}", row.option);
    }
    // Two of them have a default that is made of the group's name, and four have none.
    assert_eq!(own[1..].iter().filter(|row| written(row.default).is_none()).count(), 6);
}

#[test]
fn every_option_is_read_from_a_file_and_from_the_environment_by_the_same_name() {
    for (option, _) in OPTIONS {
        let value = other(option);
        let file = from_toml(option, value);
        assert_ne!(file, ConsumerOptions::default(), "{option}");
        assert_eq!(from_variable(option, value.trim_matches('"')), file, "{option}");
    }
}

#[test]
fn zero_is_refused_in_a_file_where_it_is_refused_in_a_variable() {
    let mut refused = Vec::new();
    for (option, _) in OPTIONS.iter().filter(|(option, _)| other(option) == "7") {
        let variables = [(variable(option).into(), "0".into())];
        let in_variable = ConsumerOptions::default().with_variables(variables).is_err();
        assert_eq!(toml::from_str::<ConsumerOptions>(&format!("{option} = 0")).is_err(), in_variable, "{option}");
        if in_variable {
            refused.push(*option);
        }
    }
    let at_least_one = [
        "max_in_flight",
        "max_buffered_bytes",
        "commit_count",
        "retry.max_attempts",
        "concurrency",
        "rate",
        "max_parked_per_key",
    ];
    assert_eq!(refused, at_least_one);
}

#[test]
fn every_option_is_said_in_code_by_the_name_it_has_in_a_file() {
    let text = OPTIONS.iter().map(|(option, _)| format!("{option} = {}", other(option))).collect::<Vec<_>>().join("\n");
    let seven = Duration::from_millis(7);
    let health = HealthOptions::default()
        .poll_timeout(seven)
        .progress_timeout(seven)
        .handler_grace(seven)
        .hottest_keys(7)
        .irregular_streams(7)
        .show_keys(true);
    let built = ConsumerOptions::default()
        .max_in_flight(7)
        .max_buffered_bytes(7)
        .commit_interval(seven)
        .commit_count(7)
        .commit_metadata_bytes(7)
        .start_from(StartFrom::Latest)
        .drain_timeout(seven)
        .startup_timeout(seven)
        .timeout(seven)
        .retry(RetryPolicy::default().max_attempts(7).initial(seven).max(seven).max_age(seven))
        .on_exhausted(OnExhausted::ParkKey)
        .order(DeliveryOrder::Unordered)
        .concurrency(7)
        .rate(7)
        .max_waiting(7)
        .breaker(BreakerPolicy::default().keys(7).pause(seven).max_pause(seven))
        .tenant_limits_file("tenants.toml")
        .max_parked_per_key(7)
        .parked_topic("parked")
        .create_parked_topic(false)
        .dead_letter_topic("letters")
        .create_dead_letter_topic(false)
        .max_restarts(7)
        .restart_window(seven)
        .health(health);
    assert_eq!(toml::from_str::<ConsumerOptions>(&text).unwrap(), built);
}

#[test]
fn every_policy_is_an_option_of_handlers_and_blocks_too() {
    // As the macros name them, and `DispatchSettings`.
    let mut policies: Vec<_> = rows()
        .iter()
        .filter(|row| row.policy)
        .map(|row| row.option.split('.').next().unwrap().trim_end_matches("_ms"))
        .collect();
    policies.dedup();
    let known = ["timeout", "retry", "on_exhausted", "order", "concurrency", "rate", "max_waiting", "breaker"];
    assert_eq!(policies, known);
}
