//! A line to a server, which a test can cut and mend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes everything on between its clients and a server, unless it is cut.
pub(crate) struct Line {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    refused: Arc<AtomicU32>,
}

impl Line {
    /// A whole line to `server`, a host and port.
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (whole, watching) = watch::channel(true);
        let server = server.to_owned();
        let refused = Arc::<AtomicU32>::default();
        let refusing = Arc::clone(&refused);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !*watching.borrow() {
                    refusing.fetch_add(1, Ordering::AcqRel);
                    continue;
                }
                let (server, mut watching) = (server.clone(), watching.clone());
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = watching.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { address, whole, refused }
    }

    /// The same `url` as the server's, over this line.
    pub(crate) fn over(&self, url: &str) -> String {
        let (credentials, rest) = url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{credentials}@{}/{database}?ssl-mode=disabled", self.address)
    }

    /// Break every connection, and let nobody connect.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// How many tried to connect while it was cut.
    pub(crate) fn refused(&self) -> u32 {
        self.refused.load(Ordering::Acquire)
    }

    /// Let everybody connect again.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

/// Host and port of a database's URL.
pub(crate) fn address_of(url: &str) -> &str {
    let (_, rest) = url.split_once('@').unwrap();
    rest.split_once('/').unwrap().0
}
