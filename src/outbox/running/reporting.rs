//! How the outbox is, as metrics.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Running;
use crate::database::bounded::within;
use crate::outbox::status::{backlog, parked_backlog, rows_a_bucket, unowned};
use crate::outbox::wake::BucketSet;
use crate::telemetry::names;

/// The most rows counted for the backlog's size.
const COUNTED_ROWS: u32 = 1_000_000;
/// For one part of the time reports are made, for at least so many none is.
const REPORTING_SHARE: u32 = 20;
/// And for this long at most: somebody looks at them.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// The most events counted that are parked.
const COUNTED_PARKED: u32 = 10_000;
/// Of how many of the oldest rows it is counted which bucket they are in.
const COUNTED_A_BUCKET: u32 = 100_000;

/// How the outbox is.
pub(super) struct Report {
    rows: u64,
    oldest: Duration,
    unowned: u64,
    parked: (u64, Duration),
    a_bucket: Vec<(u8, u64)>,
}

impl Running {
    pub(super) fn start_reporting(&mut self, now: Instant) {
        if self.reporting.is_some() || now < self.report_at || self.stopping.is_some() {
            return;
        }
        self.report_at = now + self.options.report_interval;
        let database = self.database.clone();
        let report = async move {
            let (rows, oldest) = backlog(&database, COUNTED_ROWS).await?;
            let unowned = unowned(&database).await?;
            let parked = parked_backlog(&database, COUNTED_PARKED).await?;
            let a_bucket = rows_a_bucket(&database, COUNTED_A_BUCKET).await?;
            Ok(Report { rows, oldest, unowned, parked, a_bucket })
        };
        self.reported_from = now;
        self.reporting = Some(within(self.options.database_timeout, report).boxed());
    }

    pub(super) fn reported(&mut self, result: Result<Report, sqlx::Error>) {
        // Rows that are deleted are counted through for as long as somebody's transaction keeps them: then seldom.
        let now = Instant::now();
        let pause = (now.duration_since(self.reported_from) * REPORTING_SHARE).min(LONGEST_PAUSE);
        self.report_at = self.report_at.max(now + pause);
        match result {
            Ok(Report { rows, oldest, unowned, parked: (parked, oldest_parked), a_bucket }) => {
                let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
                metrics::gauge!(names::OUTBOX_BACKLOG).set(number(rows));
                metrics::gauge!(names::OUTBOX_OLDEST_AGE).set(oldest.as_secs_f64());
                metrics::gauge!(names::OUTBOX_BUCKETS_UNOWNED).set(number(unowned));
                metrics::gauge!(names::OUTBOX_PARKED_BACKLOG).set(number(parked));
                metrics::gauge!(names::OUTBOX_PARKED_OLDEST_AGE).set(oldest_parked.as_secs_f64());
                let of_bucket = |bucket: u8, rows: u64| {
                    metrics::gauge!(names::OUTBOX_BUCKET_ROWS, names::BUCKET => bucket.to_string()).set(number(rows));
                };
                let mine: Vec<_> = a_bucket.into_iter().filter(|(bucket, _)| self.owned.contains(*bucket)).collect();
                let buckets: BucketSet = mine.iter().map(|(bucket, _)| *bucket).collect();
                self.reported_buckets.without(buckets).iter().for_each(|bucket| of_bucket(bucket, 0));
                for (bucket, rows) in mine {
                    of_bucket(bucket, rows);
                }
                self.reported_buckets = buckets;
            }
            Err(error) => {
                tracing::debug!(%error, "the backlog could not be measured");
                self.heed(&error);
            }
        }
    }
}
