//! Types are checked by traits, so it does not matter what they are called, nor by which path the macros are.

use tidings::Message as Envelope;
use tidings::prelude::Dispatcher as _;
use tidings_ui_tests as events;

type Renamed = events::UserUpdated;
type Answer<T = ()> = std::result::Result<T, std::io::Error>;

struct Leaderboards;

#[tidings::dispatcher(source = "accounts")]
impl Leaderboards {
    #[tidings::on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: Renamed, _envelope: Envelope) -> Answer {
        Ok(())
    }

    #[::tidings::prelude::on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, _event: events::UserDeleted) -> impl tidings::IntoOutcome {
        Answer::Ok(tidings::Outcome::Done)
    }
}

fn main() {
    assert_eq!(Leaderboards::routes().len(), 2);
}
