impl Leaderboards {
    #[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]
    fn on_user_updated(&mut self) {}
    fn helper(&self) {}
}
::core::compile_error! {
    "\"no spaces\" cannot be a source: Kafka allows 1 to 249 letters, digits, `.`, `_` and `-`"
}
::core::compile_error! {
    "unknown `#[dispatcher]` option `retrys`; expected `source`, `name`, `retry`, `on_exhausted`, `timeout`, `order`, `concurrency`, `rate`, `max_waiting`, `breaker` or `crate`"
}
::core::compile_error! {
    "\"UserUpdated\" is not an event name: it has no dot\nhelp: a namespace, a dot and the event in the past tense, e.g. \"accounts.UserUpdated\""
}
::core::compile_error! {
    "invalid version requirement \"one\": unexpected character 'o' while parsing major version number\nhelp: as in Cargo.toml, e.g. \">=1.2.3, <3\" or \"^2\"; leave `version` out to take every version"
}
::core::compile_error! {
    "handlers take `&self`: deliveries of different keys run at the same time and share the dispatcher\nhelp: change state behind a `Mutex`, an atomic or a channel instead of `&mut self`"
}
::core::compile_error! {
    "handlers are `async`: a consumer runs many of them on few threads\nhelp: `async fn on_user_updated`"
}
::core::compile_error! {
    "`on_user_updated` takes no payload: the first parameter after `&self` is the event\nhelp: `async fn on_user_updated(&self, event: UserUpdated)`; behind it any number of values taken from the delivery, such as `message: Message`"
}
#[automatically_derived]
impl ::tidings::Dispatcher for Leaderboards {
    const SOURCE: &'static ::core::primitive::str = "";
    const NAME: &'static ::core::primitive::str = "";
    fn routes() -> ::tidings::dispatch::Routes<Self> {
        ::core::unreachable!()
    }
}
