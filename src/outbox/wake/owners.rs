//! Who owns which bucket elsewhere, and telling them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::bucket_set::BucketSet;
use super::datagram::{Token, WakeAddress, datagram};
use crate::database::pool::Pool;

/// How long what the leases say is believed. One that is out of date costs a wake-up, and the relay looks by itself.
const BELIEVED: Duration = Duration::from_secs(2);
/// How long a name of a host may take to be found.
const RESOLVING: Duration = Duration::from_secs(2);
/// The most owners told: there cannot be more.
const MAX_OWNERS: usize = crate::outbox::BUCKETS;

/// The relays of other processes.
#[derive(Debug)]
pub(super) struct Owners {
    pool: Pool,
    state: Mutex<State>,
    sockets: OnceLock<Sockets>,
}

#[derive(Debug, Default)]
struct State {
    owners: Arc<[Owner]>,
    /// When the leases were last read.
    read_at: Option<Instant>,
    /// Whether somebody reads them now.
    reading: bool,
    /// Committed while nobody knew whom to tell.
    untold: BucketSet,
}

#[derive(Debug)]
struct Owner {
    place: SocketAddr,
    token: Token,
    buckets: BucketSet,
}

impl Owners {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, state: Mutex::default(), sockets: OnceLock::new() }
    }

    /// Tell the owners of `buckets`. The leases are read behind the caller's back, and only while there is something to tell.
    pub(super) fn tell(self: &Arc<Self>, buckets: BucketSet) {
        let (owners, read) = {
            let mut state = self.state.lock();
            let old = state.read_at.is_none_or(|read_at| read_at.elapsed() >= BELIEVED);
            if state.read_at.is_none() {
                state.untold = state.untold.or(buckets);
            }
            let read = old && !state.reading;
            state.reading |= read;
            (Arc::clone(&state.owners), read)
        };
        self.send(&owners, buckets);
        if !read {
            return;
        }
        let this = Arc::clone(self);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { this.read().await })),
            Err(_) => self.state.lock().reading = false,
        }
    }

    async fn read(&self) {
        let owners = match self.owners().await {
            Ok(owners) => owners,
            Err(error) => {
                tracing::debug!(%error, "the owners of the outbox's buckets could not be read; they look by themselves");
                Arc::default()
            }
        };
        let untold = {
            let mut state = self.state.lock();
            state.owners = Arc::clone(&owners);
            state.read_at = Some(Instant::now());
            state.reading = false;
            std::mem::take(&mut state.untold)
        };
        self.send(&owners, untold);
    }

    async fn owners(&self) -> Result<Arc<[Owner]>, sqlx::Error> {
        let now = self.pool.dialect().now();
        let sql = format!(
            "SELECT address, bucket FROM tidings_outbox_lease WHERE address IS NOT NULL AND expires_at > {now} ORDER BY address"
        );
        let mut named: Vec<(String, BucketSet)> = Vec::new();
        for row in self.pool.query(sql).await? {
            let (address, bucket) = (row.text(0)?, u8::try_from(row.integer(1)?).unwrap_or_default());
            match named.last_mut() {
                Some((last, buckets)) if *last == address => buckets.insert(bucket),
                _ => named.push((address, [bucket].into_iter().collect())),
            }
        }
        let mut owners = Vec::new();
        for (address, buckets) in named.into_iter().take(MAX_OWNERS) {
            let Ok(WakeAddress { place, token }) = address.parse() else { continue };
            if let Some(place) = resolve(&place).await {
                owners.push(Owner { place, token, buckets });
            }
        }
        Ok(owners.into())
    }

    fn send(&self, owners: &[Owner], buckets: BucketSet) {
        for owner in owners {
            let theirs = owner.buckets.and(buckets);
            if theirs.is_empty() {
                continue;
            }
            let sockets = self.sockets.get_or_init(Sockets::default);
            let socket = if owner.place.is_ipv4() { &sockets.v4 } else { &sockets.v6 };
            if let Some(socket) = socket {
                // What is lost here the relay finds by itself.
                let _ = socket.send_to(&datagram(owner.token, theirs), owner.place);
            }
        }
    }
}

async fn resolve(place: &str) -> Option<SocketAddr> {
    if let Ok(address) = place.parse() {
        return Some(address);
    }
    let found = tokio::time::timeout(RESOLVING, tokio::net::lookup_host(place).boxed()).await;
    found.ok()?.ok()?.next()
}

/// What datagrams are sent from. A socket that cannot be had is a way that is not there.
#[derive(Debug)]
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Default for Sockets {
    fn default() -> Self {
        let socket = |address: SocketAddr| {
            let socket = UdpSocket::bind(address).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        Self { v4: socket((Ipv4Addr::UNSPECIFIED, 0).into()), v6: socket((Ipv6Addr::UNSPECIFIED, 0).into()) }
    }
}
