//! Diagrams that `tidings contract` writes, read by the parser that Mermaid publishes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::asyncapi::answered;
use crate::command::tidings;

const FORMATS: [&str; 3] = ["mermaid", "mermaid-sequence", "mermaid-states"];

/// Names that would end a text, begin markup, or be a directive or a comment.
const HOSTILE: [&str; 6] =
    ["a\"; end", "b%%{init: {\"theme\": \"dark\"}}%%", "c#59;<script>`d`", "e->>f: g\\n:::h", "%% i", "j] --> [*] {k}"];

fn diagram(format: &str, name: &str) -> String {
    let route = |policy: &str, batch: Value| {
        json!({"service": format!("{name} s"), "group": format!("{name} g"), "dispatcher": format!("{name} d"),
            "source": format!("{name} o"), "event": format!("{name} e"), "versions": format!("{name} v"),
            "handler": format!("{name} {policy}"), "payload_version": "1.0.0", "max_attempts": 3, "on_exhausted": policy,
            "timeout_ms": 1_000, "batch": batch, "docs": ""})
    };
    let batch = json!({"max": 10, "wait_ms": 5});
    let routes = json!([route("dead_letter", Value::Null), route("park_key", batch), route("stop", Value::Null)]);
    let mode = format!("{name} o=store");
    let command = tidings(["contract", format, "routes.json", "--mode", &mode]);
    command.file("routes.json", &routes.to_string()).run().succeeded().stdout
}

/// What the parser makes of each diagram.
fn read(diagrams: &[String]) -> Vec<Value> {
    match answered("mermaid.mjs", &json!(diagrams).to_string()) {
        Value::Array(answers) => answers,
        other => panic!("{other}"),
    }
}

#[test]
#[ignore = "installs the published parser: make soak"]
fn the_published_parser_reads_every_diagram_and_hostile_names_stay_texts() {
    for (format, kind) in FORMATS.into_iter().zip(["flowchart-v2", "sequence", "stateDiagram"]) {
        let names: Vec<&str> = ["accounts"].into_iter().chain(HOSTILE).collect();
        let texts: Vec<String> = names.iter().map(|name| diagram(format, name)).collect();
        let answers = read(&texts);
        assert_eq!(answers.len(), names.len());
        for ((name, text), answer) in names.into_iter().zip(texts).zip(answers) {
            assert_eq!(answer["type"], kind, "{answer}\n{text}");
            let texts: BTreeSet<&str> =
                answer["texts"].as_array().unwrap().iter().filter_map(Value::as_str).map(str::trim).collect();
            let shown: &[String] = match format {
                "mermaid" => &["{} o", "{} e", "{} v", "{} stop"].map(|text| text.replace("{}", name)),
                "mermaid-sequence" => &["{} o", "{} s", "topic {} o", "{} e, by the relay", "{} d.{} stop takes {} v"]
                    .map(|text| text.replace("{}", name)),
                _ => &["recorded by {} o", "{} e {} v", "{} g.{} park_key"].map(|text| text.replace("{}", name)),
            };
            for text in shown {
                assert!(texts.contains(text.as_str()), "{text} is not among {texts:#?}");
            }
        }
    }
}

#[test]
#[ignore = "installs the published parser: make soak"]
fn the_parser_of_diagrams_would_not_accept_anything() {
    for format in FORMATS {
        let broken = diagram(format, "accounts").replace(" as ", " as as\n").replace("-->", "--> -->");
        assert!(read(std::slice::from_ref(&broken))[0]["error"].is_string(), "{broken}");
    }
}
