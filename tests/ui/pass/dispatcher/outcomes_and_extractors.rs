//! Whatever implements the traits can be returned and taken.

use tidings::dispatch::RecordHeaders;
use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Tenant(String);

impl FromDelivery for Tenant {
    async fn from_delivery(delivery: &Delivery) -> Result<Self> {
        Ok(Self(delivery.record().headers.get_str("tenant").unwrap_or_default().to_owned()))
    }
}

enum Verdict {
    Fine,
}

impl IntoOutcome for Verdict {
    fn into_outcome(self) -> Outcome {
        match self {
            Self::Fine => Outcome::Done,
        }
    }
}

#[derive(Debug)]
struct Failure;

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("failure")
    }
}

impl std::error::Error for Failure {}

struct Everything;

#[dispatcher(source = "accounts")]
impl Everything {
    #[on("accounts.UserUpdated", version = "^1")]
    async fn no_value(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2")]
    async fn a_result(&self, _event: UserUpdated, tenant: Tenant, _headers: RecordHeaders) -> Result<(), Failure> {
        if tenant.0.is_empty() { Err(Failure) } else { Ok(()) }
    }

    #[on("accounts.UserUpdated", version = "^3")]
    async fn an_outcome(&self, _event: UserUpdated, _delivery: Delivery, _message: Message) -> Outcome {
        Outcome::Done
    }

    #[on("accounts.UserUpdated", version = "^4")]
    async fn a_verdict(&self, _event: UserUpdated, _state: State<u64>) -> Result<Verdict> {
        Ok(Verdict::Fine)
    }
}

fn main() {
    assert_eq!(Everything::routes().len(), 4);
}
