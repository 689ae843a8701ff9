//! A handler may take many events at once: as data, and from a batch of deliveries to an outcome each.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidings::dispatch::{
    BatchPolicy, DeliveryContext, DeliveryOrder, DeliveryParts, Extensions, FromDeliveries, IntoOutcomes, Policy,
    RouteHandle,
};
use tidings::prelude::*;
use tidings::schema::Codec;
use tidings::transport::{Headers, Record};
use tidings::{ErrorClass, Message as Envelope};
use tidings_ui_tests::{UserDeleted, UserUpdated, UserUpdatedV3};

type Updates = Vec<UserUpdated>;
type Many<T> = Vec<T>;
type Answers = std::result::Result<Many<Outcome>, std::fmt::Error>;

/// How many there are: an extractor of the user's own.
struct Size(usize);

impl FromDeliveries for Size {
    async fn from_deliveries(deliveries: &[Delivery]) -> Result<Self> {
        if deliveries.len() > 3 { Err(HandlerError::from("too many for now")) } else { Ok(Self(deliveries.len())) }
    }
}

/// A verdict for all: an outcome of the user's own.
struct AllOrNothing(bool);

impl IntoOutcomes for AllOrNothing {
    fn into_outcomes(self, events: usize) -> Vec<Outcome> {
        (0..events).map(|_| if self.0 { Outcome::Done } else { Outcome::dead_letter("nothing") }).collect()
    }
}

#[derive(Default)]
struct Leaderboards {
    seen: Mutex<Vec<String>>,
}

#[dispatcher(source = "accounts", concurrency = 8)]
impl Leaderboards {
    /// Keeps the names in step, many at once.
    #[on("accounts.UserUpdated", version = "^1", batch(max = 100, wait = "50ms"), concurrency = 2)]
    async fn on_users_updated(&self, events: Updates, envelopes: Many<Envelope>, Size(size): Size) -> Answers {
        assert_eq!((events.len(), size), (envelopes.len(), size));
        let one = |(event, envelope): (&UserUpdated, &Message)| {
            self.seen.lock().unwrap().push(format!("{}={} at {}", event.user_id, event.nickname, envelope.offset()));
            if event.nickname.is_empty() { Outcome::dead_letter("no name") } else { Outcome::Done }
        };
        Ok(events.iter().zip(&envelopes).map(one).collect())
    }

    #[on("accounts.UserUpdated", version = "^3", batch(wait = "1s", max = 1,),)]
    async fn nothing(&self, _events: Vec<UserUpdatedV3>, _all: State<u32>) {}

    #[on("accounts.UserUpdated", version = "^4", batch(max = 2, wait = "1s"), order = "unordered")]
    async fn a_result(&self, _events: Vec<UserUpdatedV3>, _deliveries: Vec<Delivery>) -> Result<()> {
        Err(HandlerError::from("away"))
    }

    #[on("accounts.UserUpdated", version = "^5", batch(max = 2, wait = "1s"))]
    async fn an_opaque_value(&self, _events: Vec<UserUpdated>) -> impl IntoOutcomes {
        AllOrNothing(false)
    }

    #[on("accounts.UserUpdated", version = "^6", batch(max = 2, wait = "1s"))]
    async fn too_few(&self, _events: Vec<UserUpdated>) -> Vec<Outcome> {
        Vec::new()
    }

    #[on("accounts.UserDeleted")]
    async fn one(&self, _event: UserDeleted) {}
}

struct Inventory<E, L>(PhantomData<(E, L)>);

#[dispatcher(source = "accounts")]
impl<E: Event, L: FromDeliveries + Sync + 'static> Inventory<E, L> {
    #[on("accounts.UserDeleted", batch(max = 10, wait = "1s"))]
    async fn on_users_deleted(&self, events: Many<E>, _last: L) -> Result<Vec<Result<(), std::fmt::Error>>> {
        Ok(events.iter().map(|_| Ok(())).collect())
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

fn delivery(codec: &Codec, offset: i64, key: &str, payload: Option<Vec<u8>>) -> Delivery {
    let context = DeliveryContext { codec: codec.clone(), extensions: Extensions::new(), group: "test".into() };
    Delivery::new(DeliveryParts {
        record: Record {
            topic: "accounts".into(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: Some(key.to_owned().into()),
            payload: payload.map(Into::into),
            headers: Headers::new(),
        },
        context: Arc::new(context),
        handler: "test",
        attempt: 1,
    })
}

fn bytes<E: Event>(codec: &Codec, event: &E) -> Option<Vec<u8>> {
    Some(block_on(codec.frame("accounts", codec.encode(event).unwrap())).unwrap().bytes.to_vec())
}

fn class(outcome: &Outcome) -> Option<ErrorClass> {
    match outcome {
        Outcome::Done => None,
        Outcome::Retry { error, .. } | Outcome::DeadLetter { error } => Some(error.class()),
        other => panic!("{other:?}"),
    }
}

fn main() {
    let routes: Vec<_> = Leaderboards::routes().into_iter().collect();
    let batches: Vec<_> = routes.iter().map(|route| route.info.batch).collect();
    let seconds = |max| Some(BatchPolicy::new(max, Duration::from_secs(1)));
    let hundred = Some(BatchPolicy::new(100, Duration::from_millis(50)));
    assert_eq!(batches, [hundred, seconds(1), seconds(2), seconds(2), seconds(2), None]);
    let info = &routes[0].info;
    assert_eq!((info.handler, info.docs), ("on_users_updated", "Keeps the names in step, many at once."));
    assert_eq!((info.policy, info.own), (Policy::INHERIT.concurrency(2), Policy::INHERIT.concurrency(2)));
    assert_eq!((info.payload.event, info.payload.version), ("accounts.UserUpdated", "1.3.0"));
    assert_eq!(routes[2].info.policy, Policy::INHERIT.concurrency(8).order(DeliveryOrder::Unordered));
    assert!(matches!(routes[5].handle, RouteHandle::Single(_)));

    let generic = Inventory::<UserDeleted, Vec<Message>>::routes();
    assert!(generic.infos().all(|info| info.payload.event == "accounts.UserDeleted" && info.batch.is_some()));

    let codec = Codec::local();
    let boards = Arc::new(Leaderboards::default());
    let run = |route: usize, deliveries: Vec<Delivery>| match routes[route].handle {
        RouteHandle::Batch(handle) => block_on(handle(Arc::clone(&boards), deliveries)),
        RouteHandle::Single(_) => panic!("{:?}", routes[route]),
    };
    let named = |offset, key: &str, nickname: &str| {
        let event = UserUpdated { user_id: offset, nickname: nickname.to_owned() };
        delivery(&codec, offset, key, bytes(&codec, &event))
    };
    let nonsense = |offset, key: &str| delivery(&codec, offset, key, Some(b"no Avro at all".to_vec()));

    // An outcome for each delivery, in their order; what cannot be decoded never reaches the handler, and what comes behind it and
    // has its key waits.
    let mixed = vec![named(0, "a", "Ada"), nonsense(1, "b"), named(2, "c", ""), named(3, "b", "Bob"), named(4, "a", "A")];
    let classes: Vec<_> = run(0, mixed).iter().map(class).collect();
    let undecodable = Some(ErrorClass::Undecodable);
    let expected = [None, undecodable, Some(ErrorClass::Retryable), Some(ErrorClass::Unavailable), None];
    assert_eq!(classes, expected);
    assert_eq!(*boards.seen.lock().unwrap(), ["0=Ada at 0", "2= at 2", "4=A at 4"]);

    // Nothing can be decoded: the handler is not called.
    assert_eq!(run(0, vec![nonsense(5, "a"), nonsense(6, "b")]).iter().map(class).collect::<Vec<_>>(), [undecodable; 2]);
    assert_eq!(boards.seen.lock().unwrap().len(), 3);

    // An extractor's error is that of every event that was decoded.
    let five = vec![named(0, "a", "A"), nonsense(1, "b"), named(2, "c", "C"), named(3, "d", "D"), named(4, "e", "E")];
    let retryable = Some(ErrorClass::Retryable);
    let expected = [retryable, undecodable, retryable, retryable, retryable];
    assert_eq!(run(0, five).iter().map(class).collect::<Vec<_>>(), expected);

    let third = || delivery(&codec, 0, "a", bytes(&codec, &UserUpdatedV3 { user_id: 2, nickname: None }));
    assert_eq!(class(&run(1, vec![third()])[0]), Some(ErrorClass::Unavailable), "there is no such state");
    assert_eq!(run(2, vec![third(), third()]).iter().map(class).collect::<Vec<_>>(), [retryable; 2]);
    let two = || vec![named(0, "a", "Ada"), named(1, "b", "Bob")];
    assert!(run(3, two()).iter().all(|outcome| matches!(outcome, Outcome::DeadLetter { .. })));
    assert_eq!(run(4, two()).iter().map(class).collect::<Vec<_>>(), [retryable; 2]);
}
