//! What the services run on: servers in this process, or real ones.

use std::time::Duration;

use tempfile::TempDir;
use tidings::database::{Database, DatabaseOptions, sqlx};
use tidings::schema::{Codec, ConfluentRegistry, RegistryOptions, SchemaRegistry as _};
use tidings::transport::kafka::{EmbeddedCluster, KafkaOptions, TopicError, TopicSpec, topics};

use crate::arguments::Arguments;
use crate::audit::PlayerIds;
use crate::error::DemoError;
use crate::player::{CREATE_TABLE, Player};

/// The declaration of the topic, beside the schemas of its events.
const TOPIC: &str = include_str!("../../schemas/accounts/topic.toml");

/// How long brokers may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What the services run on.
#[derive(Debug)]
pub struct Platform {
    pub kafka: KafkaOptions,
    pub database: Database,
    pub codec: Codec,
    /// The topic of `accounts`, as it is; its name is the service's.
    pub topic: TopicSpec,
    /// Where dead letters of `leaderboards` go.
    pub dead_letters: String,
    /// Where all of this is, for people.
    pub description: String,
    /// Kafka, where it runs in this process.
    cluster: Option<EmbeddedCluster>,
    /// Goes with the platform, and the database in it.
    _folder: Option<TempDir>,
}

impl Platform {
    /// Start or reach the servers, and make what is missing: topics and tables.
    pub async fn open(arguments: &Arguments) -> Result<Self, DemoError> {
        let declared = TopicSpec::from_toml(&arguments.name("accounts"), TOPIC)?;
        let dead_letters = arguments.name("leaderboards.dead-letters");
        let (kafka, cluster, topic) = match &arguments.brokers {
            Some(brokers) => {
                let kafka = KafkaOptions::new(brokers.as_str()).client_id("tidings-demo");
                let set = |kafka: KafkaOptions, property: &crate::arguments::Property| {
                    kafka.property(&property.name, &property.value)
                };
                let kafka = arguments.kafka.iter().fold(kafka, set);
                let topic = ensure_topic(&kafka, declared).await?;
                (kafka, None, topic)
            }
            None => {
                let cluster = EmbeddedCluster::start(1)?;
                cluster.create_topic(declared.name(), declared.partitions())?;
                cluster.create_topic(&dead_letters, 1)?;
                (KafkaOptions::new(cluster.brokers()), Some(cluster), declared)
            }
        };
        let codec = match &arguments.registry {
            Some(url) => {
                let registry = ConfluentRegistry::new(&RegistryOptions::new(url))?;
                registry.ping().await?;
                Codec::new(std::sync::Arc::new(registry))
            }
            None => Codec::local(),
        };
        let (url, folder) = match &arguments.database {
            Some(url) => (url.clone(), None),
            None => {
                let folder = tempfile::Builder::new().prefix("tidings-demo-").tempdir()?;
                (format!("sqlite:{}", folder.path().join("accounts.db").display()), Some(folder))
            }
        };
        let connections = arguments.writers.saturating_add(4);
        let options = DatabaseOptions::new(url).migrate(true).max_connections(connections);
        let description = format!(
            "{}, {}, {}",
            if cluster.is_some() {
                "an embedded Kafka cluster".to_owned()
            } else {
                format!("Kafka at {}", kafka.brokers())
            },
            if folder.is_some() { "SQLite in a temporary file".to_owned() } else { options.redacted_url() },
            if arguments.registry.is_some() { "a schema registry" } else { "no schema registry" },
        );
        let database = Database::connect(options).await?;
        create_table(&database).await?;
        Ok(Self { kafka, database, codec, topic, dead_letters, description, cluster, _folder: folder })
    }

    /// How consumers reach the brokers.
    pub fn consumer_kafka(&self) -> KafkaOptions {
        let kafka = self.kafka.clone();
        // Brokers answer when there is something to read; the embedded one only when the time is up, 500 ms by default.
        if self.is_embedded() { kafka.property("fetch.wait.max.ms", "5") } else { kafka }
    }

    /// Whether Kafka runs in this process.
    pub fn is_embedded(&self) -> bool {
        self.cluster.is_some()
    }

    /// The players as the database has them.
    pub async fn players(&self, ids: &PlayerIds) -> Result<Vec<Player>, DemoError> {
        let select = "SELECT id, nickname, score, revision FROM demo_player WHERE id >= ? AND id < ?";
        let rows: Vec<(i64, String, i64, i64)> = if let Ok(mysql) = self.database.mysql_pool() {
            sqlx::query_as(select).bind(ids.0.start).bind(ids.0.end).fetch_all(mysql).await?
        } else {
            sqlx::query_as(select).bind(ids.0.start).bind(ids.0.end).fetch_all(self.database.sqlite_pool()?).await?
        };
        let player = |(id, nickname, score, revision)| Player { id, nickname, score, revision };
        Ok(rows.into_iter().map(player).collect())
    }
}

/// Create the topic if it is missing; where it is there with another number of partitions, take it as it is.
async fn ensure_topic(kafka: &KafkaOptions, declared: TopicSpec) -> Result<TopicSpec, DemoError> {
    match topics::ensure(kafka, std::slice::from_ref(&declared), ANSWER).await {
        Ok(_) => Ok(declared),
        Err(TopicError::Partitions { topic, expected, found }) => {
            tracing::warn!(
                "topic {topic} exists with {found} partitions, where schemas/accounts/topic.toml declares {expected}; \
                 the demo takes it as it is"
            );
            Ok(TopicSpec::new(topic, found))
        }
        Err(error) => Err(error.into()),
    }
}

async fn create_table(database: &Database) -> Result<(), DemoError> {
    if let Ok(mysql) = database.mysql_pool() {
        sqlx::raw_sql(CREATE_TABLE).execute(mysql).await?;
    } else {
        sqlx::raw_sql(CREATE_TABLE).execute(database.sqlite_pool()?).await?;
    }
    Ok(())
}
