//! The parts that child processes of these tests play.

#[cfg(feature = "store")]
use crate::event_store;
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
        #[cfg(feature = "store")]
        "append to store" => event_store::append().await,
        #[cfg(feature = "store")]
        "store service" => event_store::serve().await,
        #[cfg(all(feature = "cli", feature = "parquet", feature = "testing"))]
        "fill warehouse" => crate::warehouse::fill().await,
        _ => panic!("there is no part called {part}"),
    }
}
