//! Where a relay hears of commits in other processes.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::bucket_set::BucketSet;
use super::datagram::{DATAGRAM_BYTES, Token, WakeAddress, buckets_of};

/// The most datagrams taken in one turn: a flood must not keep the relay from its work.
const AT_ONCE: usize = 256;

/// A socket that takes wake-ups.
#[derive(Debug)]
pub(crate) struct Ear {
    socket: UdpSocket,
    token: Token,
}

/// Why a relay cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EarError {
    #[error("the socket cannot be bound")]
    Bind(#[source] io::Error),
    #[error(
        "it listens on all of its addresses, and nobody said which of them others can reach: set the advertised address"
    )]
    NoPlace,
}

impl Ear {
    /// Listen on `bind`, and tell others to send to `advertised`; where that is `None`, to the address that was bound.
    pub(crate) async fn open(bind: SocketAddr, advertised: Option<&str>) -> Result<(Self, WakeAddress), EarError> {
        let socket = UdpSocket::bind(bind).await.map_err(EarError::Bind)?;
        let bound = socket.local_addr().map_err(EarError::Bind)?;
        let place = match advertised {
            Some(place) if place.contains(':') => place.to_owned(),
            // A port of the system's choice.
            Some(host) => format!("{host}:{}", bound.port()),
            None if bound.ip().is_unspecified() => return Err(EarError::NoPlace),
            None => bound.to_string(),
        };
        let token = Token::random();
        Ok((Self { socket, token }, WakeAddress { place, token }))
    }

    /// The buckets of what was committed elsewhere; resolves when something was sent, whatever it was.
    pub(crate) async fn woken(&self) -> BucketSet {
        // An error here is a message about an earlier datagram at most.
        let _ = self.socket.readable().await;
        let mut woken = BucketSet::EMPTY;
        // One byte more than a datagram has: a longer one does not pass for one.
        let mut buffer = [0; DATAGRAM_BYTES + 1];
        for _ in 0..AT_ONCE {
            match self.socket.try_recv(&mut buffer) {
                Ok(length) => {
                    let buckets = buckets_of(&buffer[..length], self.token);
                    woken = woken.or(buckets.unwrap_or(BucketSet::EMPTY));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::wake::datagram::datagram;

    const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn hostile_datagrams_are_passed_over_and_what_is_meant_for_it_is_heard() {
        let (ear, address) = Ear::open(LOOPBACK, None).await.unwrap();
        let stranger = UdpSocket::bind(LOOPBACK).await.unwrap();
        let mut long = datagram(address.token, [3].into_iter().collect()).to_vec();
        long.push(0);
        for hostile in [&b""[..], b"x", &[0xff; 1_400], &long, &datagram(Token::random(), [4].into_iter().collect())] {
            stranger.send_to(hostile, &address.place).await.unwrap();
        }
        stranger.send_to(&datagram(address.token, [5, 250].into_iter().collect()), &address.place).await.unwrap();
        let mut heard = BucketSet::EMPTY;
        while heard.is_empty() {
            heard = heard.or(ear.woken().await);
        }
        assert_eq!(heard, [5, 250].into_iter().collect());
    }

    #[tokio::test]
    async fn a_relay_that_listens_everywhere_must_be_told_what_to_advertise() {
        let everywhere = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
        assert!(matches!(Ear::open(everywhere, None).await, Err(EarError::NoPlace)));
        let (ear, address) = Ear::open(everywhere, Some("relay-1.example")).await.unwrap();
        let port = ear.socket.local_addr().unwrap().port();
        assert_eq!(address.place, format!("relay-1.example:{port}"));
        let (_, address) = Ear::open(everywhere, Some("relay-1.example:7000")).await.unwrap();
        assert_eq!(address.place, "relay-1.example:7000");
    }
}
