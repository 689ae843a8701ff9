//! Tests against real servers: `scripts/with-servers cargo test --all-features --test integration`.

#[cfg(feature = "registry")]
mod schema;

/// The address or path that the servers script put into the environment.
#[allow(dead_code)]
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with scripts/with-servers, which starts the servers")
    })
}
