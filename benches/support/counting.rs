//! A line to a `MySQL` server on which is counted what its clients ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The first bytes of commands: statements as text, and prepared ones.
const QUERY: u8 = 3;
const EXECUTE: u8 = 23;
/// Three bytes of length, and the packet's number in its exchange: a command is number 0.
const HEADER_BYTES: usize = 4;

/// What was counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted(Arc<AtomicU64>);

impl Counted {
    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// How many statements a command has. Literals must have no `;`: the relay's have none.
pub(crate) fn statements(command: &[u8]) -> u64 {
    match command.first() {
        Some(&QUERY) => command.split(|byte| *byte == b';').count() as u64,
        Some(&EXECUTE) => 1,
        _ => 0,
    }
}

/// The database of `url` by another way, and the sum of what `count` makes of each command that goes it.
pub(crate) async fn counted(url: &str, count: fn(&[u8]) -> u64) -> (String, Counted) {
    let (credentials, rest) = url.split_once('@').expect("a URL with a user");
    let (address, name) = rest.split_once('/').expect("a URL with a database");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = listener.local_addr().expect("an address");
    let (address, counted) = (address.to_owned(), Counted::default());
    let of_line = counted.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.expect("a database server");
            let counted = of_line.clone();
            tokio::spawn(async move {
                let (from_client, mut to_client) = client.into_split();
                let (mut from_server, to_server) = server.into_split();
                let down = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                pass_on(from_client, to_server, count, &counted).await;
                down.abort();
            });
        }
    });
    (format!("{credentials}@{here}/{name}?ssl-mode=disabled"), counted)
}

async fn pass_on(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, count: fn(&[u8]) -> u64, counted: &Counted) {
    let (mut buffer, mut unread) = (vec![0; 1 << 16], Vec::new());
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        unread.extend_from_slice(&buffer[..length]);
        // A command may come in several reads.
        while let Some([low, middle, high, number]) = unread.first_chunk() {
            let end = HEADER_BYTES + u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
            let is_command = *number == 0;
            if unread.len() < end {
                break;
            }
            if is_command {
                counted.0.fetch_add(count(&unread[HEADER_BYTES..end]), Ordering::AcqRel);
            }
            unread.drain(..end);
        }
        if server.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
