//! Points at which a test can end this process, as a crash would: between two steps of publishing, or of writing a file.
//!
//! Without the feature `testing` nothing of it is compiled. With it, a process that has `TIDINGS_FAULT_POINT=after ack*3` in its
//! environment ends where it comes to that point for the third time.

/// A point was come to.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) const fn reach(_: &str) {}

#[cfg(feature = "testing")]
pub(crate) use armed::reach;
#[cfg(feature = "testing")]
pub use armed::{FAULT_POINT_VARIABLE, FAULT_POINTS, SINK_FAULT_POINTS, STORE_FAULT_POINTS};

#[cfg(feature = "testing")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The environment variable that names the point at which a process ends, and, behind a `*`, at which time: `after ack*3`.
    pub const FAULT_POINT_VARIABLE: &str = "TIDINGS_FAULT_POINT";

    /// The points, in the order of an event's way.
    ///
    /// - `before commit`, `after commit`: of a transaction; after it, before the relay is woken.
    /// - `after read`: the relay has read rows, and produced none of them.
    /// - `after produce`: it has handed some to the client, and heard nothing of them.
    /// - `after ack`: Kafka has acknowledged some, and none of those is deleted.
    /// - `after delete`: they are deleted.
    /// - `before park`, `after park`: of a row that Kafka refuses.
    /// - `before send`, `after send`: in the direct mode, before and after the client has taken an event.
    pub const FAULT_POINTS: [&str; 10] = [
        "before commit",
        "after commit",
        "after read",
        "after produce",
        "after ack",
        "after delete",
        "before park",
        "after park",
        "before send",
        "after send",
    ];

    /// The points on an event's way into a file.
    ///
    /// - `before file`: a sink has put rows together, and written none.
    /// - `before naming`: it has written them to a file that has no name yet.
    /// - `after file`: the file has its name, and its events do not count as handled.
    pub const SINK_FAULT_POINTS: [&str; 3] = ["before file", "before naming", "after file"];

    /// The points of an event store, before its relay comes to those of [`FAULT_POINTS`].
    ///
    /// - `before append`: events are about to be judged, and nothing is locked.
    /// - `before store commit`: they are judged, their streams are locked, and nothing is written.
    /// - `after store commit`: they are durable, and nobody was told.
    /// - `before positions`, `after positions`: of events that are durable, before and after they get their positions.
    pub const STORE_FAULT_POINTS: [&str; 5] =
        ["before append", "before store commit", "after store commit", "before positions", "after positions"];

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| Armed::of(&std::env::var(FAULT_POINT_VARIABLE).ok()?));

    struct Armed {
        point: String,
        left: AtomicU32,
    }

    impl Armed {
        fn of(text: &str) -> Option<Self> {
            let (point, times) = text.split_once('*').unwrap_or((text, "1"));
            let mut known = FAULT_POINTS.iter().chain(&SINK_FAULT_POINTS).chain(&STORE_FAULT_POINTS);
            let known = known.any(|known| *known == point);
            debug_assert!(known, "there is no fault point called {point}");
            Some(Self { point: point.to_owned(), left: AtomicU32::new(times.parse().ok()?) }).filter(|_| known)
        }

        /// Whether this is the time.
        fn comes_to(&self, point: &str) -> bool {
            self.point == point && self.left.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }

    /// A point was come to: end the process there, if it is the one that was asked for.
    pub(crate) fn reach(point: &str) {
        if ARMED.as_ref().is_some_and(|armed| armed.comes_to(point)) {
            // No destructor runs, and nothing that waits is sent.
            std::process::abort();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_the_one_named_at_the_time_named() {
            let armed = Armed::of("after ack*2").unwrap();
            let times = ["after ack", "after read", "after ack", "after ack"].map(|point| armed.comes_to(point));
            assert_eq!(times, [false, false, true, false]);
            assert!(Armed::of("after read").unwrap().comes_to("after read"));
            assert!(Armed::of("after read*soon").is_none());
        }
    }
}
