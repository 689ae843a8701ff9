//! One configuration: flag, environment, file.

use crate::command::{Tidings, tidings};

/// A command that ends as soon as it has looked for its broker.
fn tail() -> Tidings {
    tidings(["tail", "accounts", "--timeout", "1"])
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "brokers = \"127.0.0.1:1\"";
    tail().file("tidings.toml", file).run().failed(1, &["127.0.0.1:1 "]);
    let variable = || tail().file("tidings.toml", file).env("TIDINGS_BROKERS", "127.0.0.1:2");
    variable().run().failed(1, &["127.0.0.1:2 "]);
    variable().args(["--brokers", "127.0.0.1:3"]).run().failed(1, &["127.0.0.1:3 "]);
    // An empty variable is none.
    tail().file("tidings.toml", file).env("TIDINGS_BROKERS", "").run().failed(1, &["127.0.0.1:1 "]);
}

#[test]
fn a_file_can_be_named_and_must_then_be_there() {
    let other = || tail().file("conf/other.toml", "brokers = \"127.0.0.1:1\"");
    other().args(["--config", "conf/other.toml"]).run().failed(1, &["127.0.0.1:1 "]);
    other().env("TIDINGS_CONFIG", "conf/other.toml").run().failed(1, &["127.0.0.1:1 "]);
    tail().args(["--config", "nosuch.toml"]).run().failed(2, &["nosuch.toml", "--config"]);
}

#[test]
fn an_unknown_option_in_the_file_is_named_with_the_known_ones() {
    let finished = tail().file("tidings.toml", "broker = \"secret\"").run().failed(2, &["broker", "brokers, database"]);
    assert!(!finished.stderr.contains("secret"), "{finished:?}");
    tail().file("tidings.toml", "brokers = [1]").run().failed(2, &["brokers", "not text"]);
    tail().file("tidings.toml", "brokers = \"a").run().failed(2, &["tidings.toml, line 1"]);
}

#[test]
fn a_property_of_the_client_is_refused_by_name_wherever_it_stands() {
    tail().args(["--kafka", "no.such.property=1"]).run().failed(2, &["no.such.property"]);
    tail().env("TIDINGS_KAFKA_NO_SUCH_PROPERTY", "1").run().failed(2, &["no.such.property"]);
    tail().file("tidings.toml", "[kafka]\nno.such.property = 1").run().failed(2, &["no.such.property"]);
    tail().args(["--kafka", "security.protocol"]).run().failed(2, &["--kafka", "NAME=VALUE"]);
}

#[test]
fn no_secret_is_shown_however_much_is_logged() {
    let secrets = "registry = \"http://user:secret@127.0.0.1:1\"\nregistry_token = \"\"\n\
                   database = \"mysql://root:secret@127.0.0.1:1/db\"\n\
                   [kafka]\nsasl.password = \"secret\"\nsecurity.protocol = \"sasl_plaintext\"\n\
                   sasl.mechanism = \"PLAIN\"\nsasl.username = \"me\"\nssl.key.password = \"secret\"";
    let asked: [&[&str]; 5] = [
        &["tail", "accounts", "--timeout", "1", "--brokers", "127.0.0.1:1"],
        &["topics", "show", "accounts", "--timeout", "1", "--brokers", "127.0.0.1:1"],
        &["migrate"],
        &["relay"],
        &["migrate", "--database", "mysql://root:secret/x@127.0.0.1/a"],
    ];
    for arguments in asked {
        for level in ["-q", "-v", "-vvv"] {
            let finished = tidings(arguments.iter().copied()).args([level]).file("tidings.toml", secrets).run();
            assert!(matches!(finished.code, Some(1 | 2)), "{finished:?}");
            assert!(finished.stderr.contains("error:"), "{finished:?}");
            assert!(!finished.stderr.contains("secret") && !finished.stdout.contains("secret"), "{finished:?}");
        }
    }
}

#[test]
fn a_registry_that_cannot_be_asked_is_an_error_at_once() {
    let tail = || tail().args(["--brokers", "127.0.0.1:1"]);
    tail().args(["--registry", "http://127.0.0.1:1"]).run().failed(1, &["http://127.0.0.1:1 is away"]);
    tail().args(["--registry", "localhost"]).run().failed(2, &["address cannot be read", "http://host:port"]);
    tail()
        .env("TIDINGS_REGISTRY", "http://r")
        .env("TIDINGS_REGISTRY_PASSWORD", "p")
        .run()
        .failed(2, &["registry_user"]);
}
