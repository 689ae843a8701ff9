//! What the service says of itself to a tool that knows nothing of it.

use futures_util::stream;
use tidings::store::{StoreOptions, Tokens};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::scenarios::event_store::store;
use crate::scenarios::stage::Stage;
use crate::service::{Running, TOKEN};

/// What the service answers to one question.
async fn asked(running: &Running, token: Option<&str>, question: MessageRequest) -> Result<MessageResponse, Status> {
    let question = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut request = Request::new(stream::iter([question]));
    if let Some(token) = token {
        let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let mut client = ServerReflectionClient::new(running.channel());
    let mut answers = client.server_reflection_info(request).await?.into_inner();
    Ok(answers.message().await?.unwrap().message_response.unwrap())
}

#[tokio::test]
async fn who_has_a_token_finds_the_service_and_its_calls_by_reflection() {
    let stage = Stage::sqlite().await;
    let tokens = Tokens::parse(TOKEN).unwrap();
    let store = store(&stage, StoreOptions::default()).await;
    let running = Running::start(store, |options| options.tokens(tokens)).await;

    let list = MessageRequest::ListServices(String::new());
    let refused = asked(&running, None, list.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");

    let MessageResponse::ListServicesResponse(found) = asked(&running, Some(TOKEN), list).await.unwrap() else {
        panic!("another answer than a list");
    };
    let services: Vec<_> = found.service.into_iter().map(|service| service.name).collect();
    assert!(services.iter().any(|name| name == "tidings.store.v1.EventStore"), "{services:?}");

    let symbol = MessageRequest::FileContainingSymbol("tidings.store.v1.EventStore".to_owned());
    let MessageResponse::FileDescriptorResponse(found) = asked(&running, Some(TOKEN), symbol).await.unwrap() else {
        panic!("another answer than a file");
    };
    // Names are in a descriptor as they are.
    for call in ["EventStore", "AwaitStored", "tidings.store.v1"] {
        let named = |file: &Vec<u8>| file.windows(call.len()).any(|part| part == call.as_bytes());
        assert!(found.file_descriptor_proto.iter().any(named), "{call} is in no file");
    }
    running.stop().await;
}
