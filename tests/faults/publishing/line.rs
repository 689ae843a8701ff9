//! A line to the database that breaks where it hurts: around COMMIT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Breaks the connection of every `every`th COMMIT: in turns before it reaches the server, and before its answer comes back.
pub(crate) async fn breaking_line(server: String, every: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let commits = Arc::<AtomicU32>::default();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { continue };
            tokio::spawn(pass_on(client, server, Arc::clone(&commits), every));
        }
    });
    here
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, commits: Arc<AtomicU32>, every: u32) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let sent = &up[..read];
                let commit = sent.windows(7).any(|window| window == b";COMMIT");
                let count = if commit { commits.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
                let breaks = commit && count.is_multiple_of(every);
                if breaks && (count / every).is_multiple_of(2) {
                    return;
                }
                if server.write_all(sent).await.is_err() {
                    return;
                }
                if breaks {
                    // The server is left to finish, and heard by nobody.
                    drop(client);
                    let _ = server.shutdown().await;
                    while matches!(server.read(&mut down).await, Ok(1..)) {}
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
