//! Lines to a database that do what a test tells them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a read of the outbox begins, as the relay writes it.
const READ: &[u8] = b" FROM tidings_outbox FORCE INDEX (PRIMARY) WHERE (";

/// The relay's reads of the outbox on a line that can hold them.
#[derive(Clone)]
pub(crate) struct Reads {
    /// How many may pass.
    allowed: watch::Sender<usize>,
    /// How many have come.
    come: watch::Sender<usize>,
}

impl Reads {
    /// Let none pass any more.
    pub(crate) fn hold(&self) {
        self.allowed.send_replace(*self.come.borrow());
    }

    /// Wait until one is held.
    pub(crate) async fn held(&self) {
        let allowed = *self.allowed.borrow();
        self.come.subscribe().wait_for(|come| *come > allowed).await.unwrap();
    }

    /// Let the next one pass, and no other.
    pub(crate) fn let_one_pass(&self) {
        self.allowed.send_modify(|allowed| *allowed += 1);
    }

    /// Let all pass.
    pub(crate) fn release(&self) {
        self.allowed.send_replace(usize::MAX);
    }
}

/// Passes everything on between clients and the server of `address`, but for reads of the outbox that are to be held.
pub(crate) async fn a_line_that_holds_reads(address: String) -> (SocketAddr, Reads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let reads = Reads { allowed: watch::Sender::new(usize::MAX), come: watch::Sender::new(0) };
    let of_line = reads.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(pass_on(client, server, of_line.clone()));
        }
    });
    (here, reads)
}

async fn pass_on(client: TcpStream, server: TcpStream, reads: Reads) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut asked = vec![0; 65_536];
    while let Ok(length @ 1..) = from_client.read(&mut asked).await {
        if asked[..length].windows(READ.len()).any(|part| part == READ) {
            reads.come.send_modify(|come| *come += 1);
            let number = *reads.come.borrow();
            reads.allowed.subscribe().wait_for(|allowed| *allowed >= number).await.unwrap();
        }
        if to_server.write_all(&asked[..length]).await.is_err() {
            break;
        }
    }
    answers.abort();
}
