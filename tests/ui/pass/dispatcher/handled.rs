//! From an event to its bytes, and through a route to the handler and back to an outcome.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tidings::dispatch::{DeliveryContext, DeliveryParts, Extensions, Route, RouteHandle};
use tidings::prelude::*;
use tidings::schema::Codec;
use tidings::transport::{Headers, Record};
use tidings::{ErrorClass, Outcome};
use tidings_ui_tests::{UserDeleted, UserUpdated, UserUpdatedV3};

#[derive(Default)]
struct Leaderboards {
    seen: Mutex<Vec<String>>,
}

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "<3")]
    async fn on_user_updated(&self, event: UserUpdated, message: Message, limit: State<u32>) -> Result<()> {
        if event.nickname.len() > *limit as usize {
            return Err(HandlerError::from("too long for now"));
        }
        self.seen.lock().unwrap().push(format!("{}={} at {}", event.user_id, event.nickname, message.offset()));
        Ok(())
    }

    // The struct has another name than the record, and so does serde know it.
    #[on("accounts.UserUpdated", version = "^3")]
    async fn on_user_updated_v3(&self, UserUpdatedV3 { user_id, nickname }: UserUpdatedV3) {
        self.seen.lock().unwrap().push(format!("{user_id}={nickname:?}"));
    }

    #[on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, event: UserDeleted) -> Outcome {
        Outcome::dead_letter(format!("{} may not leave", event.user_id))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    // Nothing here waits for anything.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

fn delivery(codec: &Codec, payload: Option<&[u8]>, extensions: Extensions) -> Delivery {
    Delivery::new(DeliveryParts {
        record: Record {
            topic: "accounts".into(),
            partition: 0,
            offset: 7,
            timestamp_ms: None,
            key: None,
            payload: payload.map(|payload| payload.to_vec().into()),
            headers: Headers::new(),
        },
        context: Arc::new(DeliveryContext { codec: codec.clone(), extensions, group: "test".into() }),
        handler: "test",
        attempt: 1,
    })
}

fn bytes<E: Event>(codec: &Codec, event: &E) -> Vec<u8> {
    block_on(codec.frame("accounts", codec.encode(event).unwrap())).unwrap().bytes.to_vec()
}

fn main() {
    let codec = Codec::local();
    let boards = Arc::new(Leaderboards::default());
    let routes: Vec<Route<Leaderboards>> = Leaderboards::routes().into_iter().collect();
    let with_limit = || {
        let mut extensions = Extensions::new();
        extensions.insert(Arc::new(5_u32));
        extensions
    };
    let run = |route: usize, payload: Option<&[u8]>, extensions| {
        let RouteHandle::Single(handle) = routes[route].handle else { panic!("{:?}", routes[route]) };
        block_on(handle(Arc::clone(&boards), delivery(&codec, payload, extensions)))
    };

    let short = bytes(&codec, &UserUpdated { user_id: 1, nickname: "Ada".to_owned() });
    assert!(matches!(run(0, Some(&short), with_limit()), Outcome::Done));

    let long = bytes(&codec, &UserUpdated { user_id: 1, nickname: "Augusta".to_owned() });
    let Outcome::Retry { error, after: None } = run(0, Some(&long), with_limit()) else { panic!() };
    assert_eq!(error.to_string(), "too long for now");

    // A missing state is found before the handler runs; the event is not to blame, so it is not given up.
    let Outcome::Retry { error, .. } = run(0, Some(&short), Extensions::new()) else { panic!() };
    assert!(error.class() == ErrorClass::Unavailable && error.to_string().contains("u32"), "{error}");

    let third = bytes(&codec, &UserUpdatedV3 { user_id: 2, nickname: None });
    assert!(matches!(run(1, Some(&third), Extensions::new()), Outcome::Done));

    let deleted = bytes(&codec, &UserDeleted { user_id: 3 });
    let Outcome::DeadLetter { error } = run(2, Some(&deleted), Extensions::new()) else { panic!() };
    assert_eq!(error.to_string(), "3 may not leave");

    // What cannot be decoded never reaches the handler.
    for payload in [None, Some(&b""[..]), Some(&b"no Avro at all"[..])] {
        let Outcome::Retry { error, .. } = run(1, payload, Extensions::new()) else { panic!("{payload:?}") };
        assert_eq!((error.class(), error.is_terminal()), (ErrorClass::Undecodable, true));
    }

    assert_eq!(*boards.seen.lock().unwrap(), ["1=Ada at 7", "2=None"]);
}
