//! A bound on how many attempts begin in a second.

use std::time::Duration;

/// What a limit may be ahead of its even pace: attempts come in bursts, and timers are not exact.
const TOLERANCE: Duration = Duration::from_millis(100);

/// The generic cell rate algorithm (ITU-T I.371): one theoretical arrival time instead of a bucket that is filled.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    interval: Duration,
    tolerance: Duration,
    /// When the next attempt would begin at an even pace.
    arrival: Duration,
}

impl Rate {
    /// At most `per_second` a second.
    pub(crate) fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        // Less than one interval would never let a first one through.
        Self { interval, tolerance: TOLERANCE.max(interval).saturating_sub(interval), arrival: Duration::ZERO }
    }

    /// At most `per_second` a second from now on. Setting the same again and again gives nothing back.
    pub(crate) fn change(&mut self, per_second: u32, now: Duration) {
        let Self { interval, tolerance, .. } = Self::new(per_second);
        // At a faster pace, what was begun at the slower one is not waited for.
        let arrival = if interval < self.interval { self.arrival.min(now + interval) } else { self.arrival };
        *self = Self { interval, tolerance, arrival };
    }

    /// When an attempt may begin, if not now.
    pub(crate) fn opens_at(&self, now: Duration) -> Option<Duration> {
        Some(self.arrival.saturating_sub(self.tolerance)).filter(|earliest| now < *earliest)
    }

    /// An attempt begins.
    pub(crate) fn take(&mut self, now: Duration) {
        self.arrival = self.arrival.max(now) + self.interval;
    }

    /// Whether as much may begin as if nothing had.
    pub(crate) fn is_unused(&self, now: Duration) -> bool {
        self.arrival <= now
    }

    /// Begin an attempt, or say when to ask again.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        if let Some(earliest) = self.opens_at(now) {
            return Err(earliest);
        }
        self.take(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_second_has_more_than_the_rate_and_its_tolerance(per_second in 1_u32..2_000, step in 1_u64..50) {
            let mut rate = Rate::new(per_second);
            let mut begun = Vec::new();
            let mut now = Duration::from_secs(7);
            while now < Duration::from_secs(10) {
                while rate.admit(now).is_ok() {
                    begun.push(now);
                }
                now += Duration::from_millis(step);
            }
            let allowed = f64::from(per_second) * 1.1 + 1.0;
            for (index, start) in begun.iter().enumerate() {
                let within = begun[index..].iter().take_while(|time| **time < *start + Duration::from_secs(1)).count();
                prop_assert!(within as f64 <= allowed + 1.0, "{} in a second", within);
            }
            // And not much less, when asked often enough.
            if (50..=1_000 / u32::try_from(step).unwrap()).contains(&per_second) {
                prop_assert!(begun.len() as f64 >= f64::from(per_second) * 3.0 * 0.9 - 1.0, "{} in three seconds", begun.len());
            }
        }
    }

    #[test]
    fn who_is_refused_is_told_when_to_come_again() {
        let mut rate = Rate::new(2);
        let now = Duration::from_secs(1);
        assert_eq!(rate.admit(now), Ok(()));
        let again = rate.admit(now).unwrap_err();
        assert_eq!(again, Duration::from_millis(1_500));
        assert_eq!(rate.admit(again), Ok(()));
    }
}
