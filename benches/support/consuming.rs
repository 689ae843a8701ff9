//! Runs of our consumer.

use std::future::Future;

use tidings::Dispatcher;
use tidings::consumer::{Consumer, ConsumerBuilder, ConsumerOptions, ConsumerStats};
use tidings::transport::kafka::KafkaOptions;

use super::Cluster;

/// Where benchmarks' dead letters go.
pub const DEAD_LETTERS: &str = "bench-dead-letters";

/// A consumer's options as they are by default, of a group of its own.
pub fn options(cluster: &Cluster) -> ConsumerOptions {
    ConsumerOptions::new(format!("bench-{}", uuid::Uuid::new_v4()))
        .kafka(KafkaOptions::new(cluster.brokers()))
        .dead_letter_topic(DEAD_LETTERS)
}

/// Let `dispatcher` handle the events of `topic` until `end` resolves.
pub async fn consume<D: Dispatcher>(
    options: ConsumerOptions,
    topic: &str,
    dispatcher: D,
    end: impl Future<Output = ()>,
) -> ConsumerStats {
    consume_with(Consumer::builder(options), topic, dispatcher, end).await
}

/// The same with a consumer that has more than options.
pub async fn consume_with<D: Dispatcher>(
    builder: ConsumerBuilder,
    topic: &str,
    dispatcher: D,
    end: impl Future<Output = ()>,
) -> ConsumerStats {
    let consumer =
        builder.dispatch_with(dispatcher, |settings| settings.source(topic)).build().await.expect("a consumer");
    let handle = consumer.handle();
    consumer.run_until(end).await.expect("the consumer stops in order");
    handle.stats()
}
