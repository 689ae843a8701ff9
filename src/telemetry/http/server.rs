//! A small server for services that have none.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;

use super::Endpoint;

/// Where OpenTelemetry's exporters for Prometheus listen too, reached from this machine alone.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// A server that listens, and answers once it [runs](Server::run).
#[derive(Debug)]
#[must_use = "it answers nobody before run() is awaited"]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Endpoint {
    /// Listen on `address`; port 0 takes any that is free.
    ///
    /// # Errors
    /// The address is not this machine's, or is taken.
    pub async fn bind(self, address: SocketAddr) -> std::io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "health and metrics are served");
        Ok(Server { listener, address, router: self.router() })
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answer for as long as the future is polled.
    ///
    /// # Errors
    /// The listener failed for good.
    pub async fn run(self) -> std::io::Result<()> {
        axum::serve(self.listener, self.router).await
    }

    /// Answer until `stop` resolves; what was asked before is still answered.
    ///
    /// # Errors
    /// The listener failed for good.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        axum::serve(self.listener, self.router).with_graceful_shutdown(stop).await
    }
}
