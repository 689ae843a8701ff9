//! The parts that child processes of these tests play.

use crate::{consumer, kill};

/// Play a part, until it is over or the process is ended.
pub(crate) async fn play(part: &str) {
    match part {
        #[cfg(feature = "cli")]
        "parking service" => consumer::parking::serve().await,
        "slow service" => consumer::shutdown::serve().await,
        "member" => consumer::protocols::take_part().await,
        "totals" => consumer::once::keep_totals().await,
        "commit" => kill::commit().await,
        "relay" => kill::relay().await,
        _ => panic!("there is no part called {part}"),
    }
}
