//! The user may give any name to anything: generated code names the standard library by absolute paths.
#![allow(dead_code, non_camel_case_types, non_upper_case_globals, unused_imports, unused_macros, unused_variables)]

mod std {}
mod core {}
mod alloc {}

struct Result;
struct Option;
struct Box;
struct Vec;
struct String;
struct Arc;
struct Pin;
struct Duration;
struct u32;
struct Outcome;
struct Policy;
struct BatchPolicy;
struct DeliveryOrder;
struct Route;
struct RouteHandle;
trait Send {}
trait Sync {}
trait Future {}
trait Into {}
trait From {}
trait Clone {}
trait Event {}
trait Dispatcher {}
trait Batch {}
trait FromDelivery {}
trait FromDeliveries {}
trait IntoOutcome {}
trait IntoOutcomes {}
enum Variants {
    Ok,
    Err,
    Some,
    None,
}
use Variants::{Err, None, Ok, Some};

const __nothing: () = ();
static payload: () = ();
static delivery: () = ();
static places: () = ();
static this: () = ();
fn versions() {}
fn decode() {}
fn decode_batch() {}
fn fill() {}
fn drop() {}

macro_rules! const_ {
    () => {};
}
macro_rules! assert {
    ($($tokens:tt)*) => { ::std::compile_error!("captured") };
}
macro_rules! panic {
    ($($tokens:tt)*) => { ::std::compile_error!("captured") };
}
macro_rules! include_str {
    ($($tokens:tt)*) => { ::std::compile_error!("captured") };
}
macro_rules! unreachable {
    ($($tokens:tt)*) => { ::std::compile_error!("captured") };
}

#[derive(::tidings::Event, ::serde::Serialize, ::serde::Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    nickname: ::std::string::String,
}

struct Leaderboards;

#[::tidings::dispatcher(source = "accounts", timeout = "5s", retry(max_attempts = 3))]
impl Leaderboards {
    #[::tidings::on("accounts.UserUpdated", version = "^1", on_exhausted = "stop")]
    async fn on_user_updated(&self, event: UserUpdated, message: ::tidings::Message) -> ::tidings::Result {
        ::std::result::Result::Ok(())
    }

    #[::tidings::on("accounts.UserUpdated", version = "^2", batch(max = 5, wait = "1s"), order = "key")]
    async fn on_users_updated(
        &self,
        events: ::std::vec::Vec<UserUpdated>,
        messages: ::std::vec::Vec<::tidings::Message>,
    ) -> ::std::vec::Vec<::tidings::Outcome> {
        ::std::vec::Vec::new()
    }
}

fn main() {
    let routes = <Leaderboards as ::tidings::Dispatcher>::routes();
    ::std::assert_eq!(routes.len(), 2);
}
