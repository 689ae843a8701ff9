//! Health and metrics over HTTP: an [`axum::Router`] that any service can mount, or a small server of its own.
//!
//! | path | answers |
//! |---|---|
//! | `/live` | 200 while the consumer's threads turn, else 503: for what restarts a process |
//! | `/ready` | 200 while it has its partitions and gets on with them, else 503: for what waits for a deployment |
//! | `/health` | 200, or 503 while it is not live or not ready; JSON with every number and every reason |
//! | `/metrics` | all metrics, as Prometheus reads them |
//!
//! ```no_run
//! use tidings::consumer::Consumer;
//! use tidings::telemetry::http::{self, Endpoint};
//!
//! # async fn example(consumer: Consumer) -> Result<(), Box<dyn std::error::Error>> {
//! let prometheus = http::install_prometheus()?;
//! let endpoint = Endpoint::new().consumer(consumer.handle()).prometheus(prometheus);
//! // In a service that has a server already: app.nest("/internal", endpoint.router()). Else:
//! let server = endpoint.bind(http::DEFAULT_ADDRESS).await?;
//! tokio::spawn(server.run());
//! consumer.run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here asks who is asking. [`DEFAULT_ADDRESS`] is reached from this machine alone; where the address is another, put it
//! on a network of its own, as the health endpoints of other programs are.

mod endpoint;
mod prometheus;
mod server;

pub use endpoint::{Endpoint, router};
pub use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
pub use prometheus::{install_prometheus, prometheus_builder};
pub use server::{DEFAULT_ADDRESS, Server};

#[cfg(test)]
mod tests;
