//! What the command is told: by flag, by environment, by file, under the same names.

mod file;

use std::path::PathBuf;

use clap::{Args, ColorChoice};

use self::file::SettingsFile;
use super::error::CliError;
use crate::schema::RegistryOptions;
use crate::store::StoreClientOptions;
use crate::transport::kafka::KafkaOptions;
use crate::transport::kafka::environment::{KAFKA_VARIABLES, property_name};

/// What every verb takes.
#[derive(Args)]
pub(super) struct GlobalArguments {
    /// The file to read options from. Default: tidings.toml in this folder, if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "TIDINGS_CONFIG", help_heading = "Global options")]
    pub(super) config: Option<PathBuf>,

    /// Say nothing on standard error but warnings and errors.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(super) quiet: bool,

    /// Log to standard error; twice for more. RUST_LOG chooses in detail.
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(super) verbose: u8,

    /// Whether to use colours: on a terminal by default, unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = ColorChoice::Auto,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub(super) color: ColorChoice,
}

/// How to reach Kafka.
#[derive(Args)]
pub(super) struct KafkaArguments {
    /// The brokers, host:port, separated by commas. Default: localhost:9092.
    #[arg(long, value_name = "HOST:PORT,…", env = "TIDINGS_BROKERS", help_heading = "Kafka")]
    brokers: Option<String>,

    /// A property of the Kafka client, as librdkafka names it; may be repeated.
    ///
    /// TLS and SASL are set so: --kafka security.protocol=SASL_SSL --kafka sasl.mechanism=SCRAM-SHA-512. In the environment
    /// it is TIDINGS_KAFKA_SECURITY_PROTOCOL, in the file a line under [kafka]. A password given as a flag shows in the list
    /// of processes; give it in the environment or in the file.
    #[arg(long = "kafka", value_name = "NAME=VALUE", help_heading = "Kafka")]
    properties: Vec<String>,
}

/// How to reach a schema registry.
#[derive(Args)]
pub(super) struct RegistryArguments {
    /// The schema registry's address, for Confluent's API, such as http://localhost:8081.
    #[arg(
        long,
        value_name = "URL",
        env = "TIDINGS_REGISTRY",
        hide_env_values = true,
        help_heading = "Schema registry"
    )]
    registry: Option<String>,

    /// The user name, or the API key, the registry asks for.
    #[arg(long, value_name = "NAME", env = "TIDINGS_REGISTRY_USER", help_heading = "Schema registry")]
    registry_user: Option<String>,

    /// Its password, or the API key's secret; better given in the environment or in the file.
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "TIDINGS_REGISTRY_PASSWORD",
        hide_env_values = true,
        help_heading = "Schema registry"
    )]
    registry_password: Option<String>,

    /// A bearer token in place of user and password; better given in the environment or in the file.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TIDINGS_REGISTRY_TOKEN",
        hide_env_values = true,
        help_heading = "Schema registry"
    )]
    registry_token: Option<String>,
}

/// How to reach the database.
#[derive(Args)]
pub(super) struct DatabaseArguments {
    /// The database: mysql://user:password@host:port/database, mariadb:// and the like, or sqlite:path/to/file. A password
    /// is better given in the environment or in the file.
    #[arg(long, value_name = "URL", env = "TIDINGS_DATABASE", hide_env_values = true)]
    database: Option<String>,
}

/// How to reach the shards.
#[derive(Args)]
pub(super) struct ShardsArguments {
    /// A shard, its name and its database: eu-1=mysql://user:password@host/database; may be repeated.
    ///
    /// In the environment they are separated by spaces; in the file they are lines under [shards]. A password given as a flag shows
    /// in the list of processes; give it in the environment or in the file.
    #[arg(
        long = "shard",
        value_name = "NAME=URL",
        env = "TIDINGS_SHARDS",
        value_delimiter = ' ',
        hide_env_values = true
    )]
    shards: Vec<String>,
}

/// How to reach an event store.
#[derive(Args)]
pub(super) struct StoreArguments {
    /// The event store, such as https://store.example:7433. Default: http://127.0.0.1:7433.
    #[arg(long, value_name = "URL", env = "TIDINGS_STORE", help_heading = "Event store")]
    store: Option<String>,

    /// The token the store asks for; better given in the environment or in the file.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TIDINGS_STORE_TOKEN",
        hide_env_values = true,
        help_heading = "Event store"
    )]
    store_token: Option<String>,

    /// The certificate of the authority that vouches for the store, in PEM. Default: the system's authorities.
    #[arg(long, value_name = "FILE", env = "TIDINGS_STORE_CA", help_heading = "Event store")]
    store_ca: Option<PathBuf>,
}

/// Where the schemas are.
#[derive(Args)]
pub(super) struct SchemasArguments {
    /// The folder of schemas, SOURCE/EVENT.avsc, and of declared topics, SOURCE/topic.toml. Default: schemas.
    #[arg(long, value_name = "FOLDER", env = "TIDINGS_SCHEMAS")]
    schemas: Option<PathBuf>,
}

/// What the environment and the file say; flags are asked first.
pub(super) struct Settings {
    file: SettingsFile,
    /// Properties of the Kafka client from the environment.
    variables: Vec<(String, String)>,
}

impl Settings {
    /// Read the environment and the file.
    pub(super) fn load(global: &GlobalArguments) -> Result<Self, CliError> {
        let file = SettingsFile::load(global.config.as_deref().filter(|path| !path.as_os_str().is_empty()))?;
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(KAFKA_VARIABLES)?;
            let value = value.into_string().ok()?;
            (!name.is_empty() && !value.is_empty()).then(|| (property_name(name), value))
        });
        Ok(Self { file, variables: variables.collect() })
    }

    /// How to reach Kafka.
    pub(super) fn kafka(&self, arguments: &KafkaArguments) -> Result<KafkaOptions, CliError> {
        let brokers = given(arguments.brokers.as_ref()).or_else(|| self.file.text("brokers"));
        let mut options = brokers.map_or_else(KafkaOptions::default, KafkaOptions::new);
        for (index, property) in arguments.properties.iter().enumerate() {
            let (name, value) = split_property(property).ok_or_else(|| {
                let nth = index + 1;
                // The text may hold a password: it is not shown.
                CliError::usage(format!(
                    "the --kafka option number {nth} is not NAME=VALUE, such as --kafka sasl.mechanism=PLAIN"
                ))
            })?;
            options = options.property(name, value);
        }
        // A property has several names: what is set stronger must not meet itself under another one.
        for (name, value) in self.variables.iter().chain(self.file.kafka()) {
            if options.user_property(name).is_none() {
                options = options.property(name, value);
            }
        }
        Ok(options)
    }

    /// How to reach the schema registry, if there is one.
    pub(super) fn registry(&self, arguments: &RegistryArguments) -> Result<Option<RegistryOptions>, CliError> {
        let text = |flag: &Option<String>, name| given(flag.as_ref()).or_else(|| self.file.text(name));
        let Some(url) = text(&arguments.registry, "registry") else {
            return Ok(None);
        };
        let user = text(&arguments.registry_user, "registry_user");
        let password = text(&arguments.registry_password, "registry_password");
        let token = text(&arguments.registry_token, "registry_token");
        let options = RegistryOptions::new(url);
        match (user, password, token) {
            (None, None, None) => Ok(Some(options)),
            (None, None, Some(token)) => Ok(Some(options.bearer(token))),
            (Some(user), password, None) => Ok(Some(options.basic(user, password.unwrap_or_default()))),
            (None, Some(_), None) => {
                Err(CliError::usage("there is a registry_password but no registry_user; give both"))
            }
            (_, _, Some(_)) => {
                Err(CliError::usage("the registry takes a user and a password or a token, not both; remove one"))
            }
        }
    }

    /// The schema registry's address, if there is one, to be shown: without a user and a password.
    pub(super) fn registry_url(&self, arguments: &RegistryArguments) -> Option<String> {
        let url = given(arguments.registry.as_ref()).or_else(|| self.file.text("registry"))?;
        let Ok(mut parsed) = url::Url::parse(&url) else { return Some(url).filter(|url| !url.contains('@')) };
        if parsed.username().is_empty() && parsed.password().is_none() {
            return Some(url);
        }
        // It fails where there can be none.
        let _ = parsed.set_username("").and_then(|()| parsed.set_password(None));
        Some(parsed.to_string())
    }

    /// Whether a database is named anywhere.
    pub(super) fn has_database(&self, arguments: &DatabaseArguments) -> bool {
        self.database(arguments).is_ok()
    }

    /// The database's URL.
    pub(super) fn database(&self, arguments: &DatabaseArguments) -> Result<String, CliError> {
        given(arguments.database.as_ref()).or_else(|| self.file.text("database")).ok_or_else(|| {
            CliError::usage(
                "there is no database: give --database mysql://user@host/database, TIDINGS_DATABASE, or `database` in \
                 tidings.toml",
            )
        })
    }

    /// The databases whose outboxes are all that a service has: its shards, or its only one. What the file says comes last.
    pub(super) fn outboxes(
        &self,
        database: &DatabaseArguments,
        shards: &ShardsArguments,
    ) -> Result<Vec<String>, CliError> {
        let has_shards = shards.shards.iter().any(|shard| !shard.is_empty());
        match (given(database.database.as_ref()), has_shards) {
            (Some(_), true) => Err(CliError::usage(
                "a database and shards are named; give --database for one alone, or --shard NAME=URL for all of them",
            )),
            (Some(url), false) => Ok(vec![url]),
            (None, false) if self.file.shards().is_empty() => Ok(vec![self.database(database)?]),
            (None, _) => Ok(self.shards(shards)?.into_iter().map(|(_, url)| url).collect()),
        }
    }

    /// The shards, name and URL. Those of the file are used where no other is named.
    pub(super) fn shards(&self, arguments: &ShardsArguments) -> Result<Vec<(String, String)>, CliError> {
        let mut shards = Vec::new();
        for (index, shard) in arguments.shards.iter().filter(|shard| !shard.is_empty()).enumerate() {
            // The text may hold a password: it is not shown.
            let (name, url) = split_property(shard).ok_or_else(|| {
                let nth = index + 1;
                CliError::usage(format!(
                    "the shard number {nth} is not NAME=URL, such as --shard eu-1=mysql://host/database"
                ))
            })?;
            shards.push((name.to_owned(), url.to_owned()));
        }
        if shards.is_empty() {
            shards.extend_from_slice(self.file.shards());
        }
        if shards.is_empty() {
            return Err(CliError::usage(
                "there are no shards: give --shard NAME=URL for each, TIDINGS_SHARDS, or a table [shards] in tidings.toml",
            ));
        }
        Ok(shards)
    }

    /// How to reach the event store, where one is named.
    pub(super) fn named_store(&self, arguments: &StoreArguments) -> Option<StoreClientOptions> {
        let is_named = given(arguments.store.as_ref()).or_else(|| self.file.text("store")).is_some();
        is_named.then(|| self.store(arguments))
    }

    /// How to reach the event store.
    pub(super) fn store(&self, arguments: &StoreArguments) -> StoreClientOptions {
        let text = |flag: &Option<String>, name| given(flag.as_ref()).or_else(|| self.file.text(name));
        let mut options = StoreClientOptions::default();
        if let Some(url) = text(&arguments.store, "store") {
            options = StoreClientOptions::new(url);
        }
        if let Some(token) = text(&arguments.store_token, "store_token") {
            options = options.token(token);
        }
        match &arguments.store_ca {
            Some(path) if !path.as_os_str().is_empty() => options.ca_file(path),
            _ => options,
        }
    }

    /// The service's name, where it is given as a flag or in the environment, else in the file.
    pub(super) fn service(&self, flag: Option<&String>) -> Option<String> {
        given(flag).or_else(|| self.file.text("service"))
    }

    /// The folder of schemas, if one is named.
    pub(super) fn schemas(&self, arguments: &SchemasArguments) -> Option<PathBuf> {
        let flag = arguments.schemas.clone().filter(|path| !path.as_os_str().is_empty());
        flag.or_else(|| self.file.text("schemas").map(PathBuf::from))
    }
}

/// What was given; an empty variable is none.
fn given(value: Option<&String>) -> Option<String> {
    value.filter(|value| !value.is_empty()).cloned()
}

fn split_property(property: &str) -> Option<(&str, &str)> {
    property.split_once('=').map(|(name, value)| (name.trim(), value)).filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::RegistryAuthorization;

    fn settings(variables: &[(&str, &str)], file: &str) -> Settings {
        Settings {
            file: SettingsFile::parse("tidings.toml".as_ref(), file).unwrap(),
            variables: variables.iter().map(|(name, value)| (property_name(name), (*value).to_owned())).collect(),
        }
    }

    fn kafka(brokers: Option<&str>, properties: &[&str]) -> KafkaArguments {
        let properties = properties.iter().map(ToString::to_string).collect();
        KafkaArguments { brokers: brokers.map(str::to_owned), properties }
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file_under_any_of_a_propertys_names() {
        let file = "brokers = \"file:1\"\n[kafka]\nsasl.mechanism = \"FILE\"\nsasl.username = \"file\"\nsasl.password = \"file\"";
        let settings = settings(&[("SASL_USERNAME", "env"), ("SASL_MECHANISM", "ENV")], file);
        let options = settings.kafka(&kafka(None, &["sasl.mechanisms=FLAG"])).unwrap();
        let expected = KafkaOptions::new("file:1")
            .property("sasl.mechanisms", "FLAG")
            .property("sasl.username", "env")
            .property("sasl.password", "file");
        assert_eq!(options, expected);
        assert_eq!(settings.kafka(&kafka(Some("flag:1"), &[])).unwrap().brokers(), "flag:1");
    }

    #[test]
    fn a_property_that_is_none_is_refused_without_showing_it() {
        let error = settings(&[], "").kafka(&kafka(None, &["a=b", "sasl.password:secret"])).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("number 2") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn a_registry_takes_a_user_or_a_token() {
        let arguments =
            || RegistryArguments { registry: None, registry_user: None, registry_password: None, registry_token: None };
        assert!(settings(&[], "").registry(&arguments()).unwrap().is_none());
        let user = settings(&[], "registry = \"http://r\"\nregistry_user = \"u\"\nregistry_password = \"p\"");
        let found = user.registry(&arguments()).unwrap().unwrap();
        let expected = RegistryAuthorization::Basic { user: "u".to_owned(), password: "p".to_owned() };
        assert!(found.authorization == expected);
        let both = RegistryArguments { registry_token: Some("t".to_owned()), ..arguments() };
        assert!(user.registry(&both).is_err());
    }
}
