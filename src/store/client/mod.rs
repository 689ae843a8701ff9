//! A store elsewhere.

mod backoff;
mod options;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

pub(super) use self::backoff::Backoff;
pub use self::options::StoreClientOptions;
use super::service::options::read;
use super::service::status::from_status;
use super::service::with_causes;
use super::wire::event_store_client::EventStoreClient;
use super::{
    Append, Appended, EventStore, NewEvent, Notice, Relayed, StoreError, StoredEvent, StreamQuery, Subscription, wire,
};

/// The largest message that is read, in bytes.
const LARGEST_REPLY: usize = 64 * 1_024 * 1_024;

/// A client of a store's service. A cheap handle: clone it. Connects when first used, and again when the connection breaks.
///
/// Where the store has too much to do, or is away, appends are sent again with growing pauses, until the deadline.
///
/// ```no_run
/// # async fn example(event: tidings::store::NewEvent) -> Result<(), Box<dyn std::error::Error>> {
/// use tidings::store::{Append, EventStore as _, ExpectedVersion, StoreClient, StoreClientOptions};
///
/// let options = StoreClientOptions::new("https://store.example:7433").token(std::env::var("STORE_TOKEN")?);
/// let store = StoreClient::new(options).await?;
/// store.append(Append::new([event], ExpectedVersion::Exact(7))).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StoreClient {
    calls: EventStoreClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
    options: StoreClientOptions,
}

impl StoreClient {
    /// A client of the store that `options` name.
    ///
    /// # Errors
    /// [`StoreError::Client`]: the URL, the token or a file cannot be used; or a token would travel in plain text to another
    /// machine.
    pub async fn new(options: StoreClientOptions) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Client { reason };
        let endpoint = Endpoint::from_shared(options.url.clone())
            .map_err(|_| refuse(format!("'{}' is not https://host:port", options.url)))?;
        let encrypted = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse(format!("'{}' is not https://host:port", options.url))),
        };
        if options.token.is_some() && !encrypted && !options.plain_token && !is_here(endpoint.uri().host()) {
            let reason = "the token would travel in plain text: use https://, or allow it with `plain_token`";
            return Err(refuse(reason.to_owned()));
        }
        let authorization = options.token.as_ref().map(|token| {
            let mut value = MetadataValue::try_from(format!("Bearer {token}"))
                .map_err(|_| refuse("the token has signs that a header cannot have".to_owned()))?;
            value.set_sensitive(true);
            Ok::<_, StoreError>(value)
        });
        let authorization = authorization.transpose()?;
        let mut endpoint = endpoint
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        if encrypted {
            let tls = tls(&options).await?;
            endpoint = endpoint.tls_config(tls).map_err(|error| refuse(with_causes(&error)))?;
        }
        let calls = EventStoreClient::new(endpoint.connect_lazy()).max_decoding_message_size(LARGEST_REPLY);
        Ok(Self { calls, authorization, options })
    }

    fn request<T>(&self, message: T, timeout: Option<Duration>) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        request
    }

    /// Call until it succeeds, cannot succeed, or the deadline is there. Whoever was refused for want of room waits, longer and
    /// longer, so that the store gets out of its troubles.
    async fn call<M, R, Fut>(
        &self,
        message: M,
        call: impl Fn(EventStoreClient<Channel>, Request<M>) -> Fut,
    ) -> Result<R, StoreError>
    where
        M: Clone,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let deadline = Instant::now() + self.options.deadline;
        let mut backoff = Backoff::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Deadline);
            }
            let request = self.request(message.clone(), Some(left));
            let reply = tokio::time::timeout(left, call(self.calls.clone(), request)).await;
            let error = match reply {
                Ok(Ok(reply)) => return Ok(reply.into_inner()),
                Ok(Err(status)) => from_status(status),
                Err(_) => return Err(StoreError::Deadline),
            };
            let pause = backoff.next();
            if !matches!(error, StoreError::Overloaded | StoreError::Unavailable(_))
                || Instant::now() + pause >= deadline
            {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn stream<M, T, R, Fut>(
        &self,
        message: M,
        call: impl FnOnce(EventStoreClient<Channel>, Request<M>) -> Fut + Send + 'static,
    ) -> BoxStream<'static, Result<R, StoreError>>
    where
        M: Send + 'static,
        T: TryInto<R, Error = StoreError> + Send + 'static,
        R: Send + 'static,
        Fut: Future<Output = Result<Response<Streaming<T>>, Status>> + Send + 'static,
    {
        let (calls, request) = (self.calls.clone(), self.request(message, None));
        let opened = async move {
            let replies = call(calls, request).await.map_err(from_status)?.into_inner();
            Ok::<_, StoreError>(replies.map_err(from_status))
        };
        opened.try_flatten_stream().and_then(|item| std::future::ready(item.try_into())).boxed()
    }
}

impl EventStore for StoreClient {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, StoreError>> {
        async move {
            let request = wire::AppendRequest::from(append);
            let call = |mut calls: EventStoreClient<Channel>, request: Request<wire::AppendRequest>| async move {
                calls.append(request).await
            };
            Appended::try_from(self.call(request, call).await?)
        }
        .boxed()
    }

    fn relay(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Relayed>, StoreError>> {
        async move {
            let sent = events.len();
            let request = wire::RelayRequest { events: events.into_iter().map(Into::into).collect() };
            let call = |mut calls: EventStoreClient<Channel>, request: Request<wire::RelayRequest>| async move {
                calls.relay(request).await
            };
            answers(self.call(request, call).await?, sent)
        }
        .boxed()
    }

    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let request = wire::AwaitStoredRequest { id: id.hyphenated().to_string() };
            let mut backoff = Backoff::new();
            loop {
                let call = |mut calls: EventStoreClient<Channel>, request: Request<wire::AwaitStoredRequest>| async move {
                    calls.await_stored(request).await
                };
                match self.call(request.clone(), call).await {
                    Ok(wire::AwaitStoredReply {}) => return Ok(()),
                    // It takes as long as it takes.
                    Err(error) if error.is_retryable() => tokio::time::sleep(backoff.next()).await,
                    Err(error) => return Err(error),
                }
            }
        }
        .boxed()
    }

    fn read(&self, query: StreamQuery) -> BoxStream<'static, Result<StoredEvent, StoreError>> {
        self.stream(wire::ReadStreamRequest::from(query), |mut calls, request| async move {
            calls.read_stream(request).await
        })
    }

    fn subscribe(&self, subscription: Subscription) -> BoxStream<'static, Result<Notice, StoreError>> {
        self.stream(wire::SubscribeRequest::from(subscription), |mut calls, request| async move {
            calls.subscribe(request).await
        })
    }
}

/// What became of each of `sent` events. An answer that does not say is none: some may have been stored, and nothing is wrong with
/// any of them.
fn answers(reply: wire::RelayReply, sent: usize) -> Result<Vec<Relayed>, StoreError> {
    let said = reply.results.iter().filter(|result| result.result.is_some()).count();
    if said != sent || reply.results.len() != sent {
        let reason = format!("the store answered for {said} of {sent} events, with {} answers", reply.results.len());
        return Err(StoreError::Unavailable(reason.into()));
    }
    reply.results.into_iter().map(Relayed::try_from).collect()
}

async fn tls(options: &StoreClientOptions) -> Result<ClientTlsConfig, StoreError> {
    let mut tls = match &options.ca_file {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path).await?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    match (&options.certificate_file, &options.key_file) {
        (Some(certificate), Some(key)) => {
            tls = tls.identity(Identity::from_pem(read(certificate).await?, read(key).await?));
        }
        (None, None) => {}
        _ => {
            return Err(StoreError::Client {
                reason: "a client's certificate needs its key, and the key it".to_owned(),
            });
        }
    }
    Ok(tls)
}

/// Whether what is sent to `host` stays on this machine.
fn is_here(host: Option<&str>) -> bool {
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for StoreClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoreClient").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_does_not_leave_this_machine_in_plain_text() {
        let options = |url: &str| StoreClientOptions::new(url).token("correct-horse-battery");
        let error = StoreClient::new(options("http://store.example:1")).await.unwrap_err().to_string();
        assert!(error.contains("plain text") && !error.contains("correct-horse"), "{error}");
        assert!(StoreClient::new(options("http://store.example:1").plain_token(true)).await.is_ok());
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(StoreClient::new(options(url)).await.is_ok(), "{url}");
        }
    }

    #[test]
    fn an_answer_for_more_or_fewer_events_than_were_sent_is_no_word_against_any_of_them() {
        let stored = wire::RelayResult { result: Some(wire::relay_result::Result::Stored(true)) };
        let silent = wire::RelayResult { result: None };
        for results in [vec![], vec![stored.clone()], vec![stored.clone(); 3], vec![stored.clone(), silent]] {
            let error = answers(wire::RelayReply { results }, 2).unwrap_err();
            assert!(error.is_retryable(), "{error:?}");
        }
        assert_eq!(
            answers(wire::RelayReply { results: vec![stored; 2] }, 2).unwrap(),
            [Relayed::Stored, Relayed::Stored]
        );
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused() {
        for url in ["store.example", "ftp://store.example", "", "http://"] {
            assert!(StoreClient::new(StoreClientOptions::new(url)).await.is_err(), "{url}");
        }
    }
}
