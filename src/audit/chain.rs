//! Two origins, one behind the other: a service's outbox, and the event store that its events go through.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::error::AuditError;
use super::origin::{Claim, Origin, Unpublished};

/// Events come from `first`, and go through `second`.
pub(super) struct Chain<A, B> {
    pub(super) first: A,
    pub(super) second: B,
}

impl<A: Origin, B: Origin> Origin for Chain<A, B> {
    fn claims<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Claim>, AuditError>> {
        async move {
            // What is given out is seen by the first before it is by the second.
            let second = self.second.claims(after, limit).await?;
            let first = self.first.claims(after, limit).await?;
            Ok(merged(first, second, limit))
        }
        .boxed()
    }

    fn unpublished<'a>(
        &'a self,
        take: &'a mut (dyn FnMut(Unpublished) + Send),
    ) -> BoxFuture<'a, Result<(), AuditError>> {
        async move {
            // What leaves the first meanwhile is then found in the second.
            self.first.unpublished(take).await?;
            self.second.unpublished(take).await
        }
        .boxed()
    }
}

/// One page of two, by name; of a stream that both know, what goes further.
pub(super) fn merged(first: Vec<Claim>, second: Vec<Claim>, limit: usize) -> Vec<Claim> {
    // Behind the end of a full page, the other one may lack names.
    let end = |page: &[Claim]| (page.len() >= limit).then(|| page.last().map(|claim| claim.stream.clone())).flatten();
    let ends = [end(&first), end(&second)].into_iter().flatten().min();
    let mut streams: BTreeMap<String, Claim> = BTreeMap::new();
    for claim in first.into_iter().chain(second) {
        if ends.as_ref().is_some_and(|end| claim.stream > *end) {
            continue;
        }
        let known = streams.entry(claim.stream.clone()).or_insert_with(|| claim.clone());
        if (claim.epoch, claim.sequence) > (known.epoch, known.sequence) {
            *known = claim;
        }
    }
    streams.into_values().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(claims: &[(&str, u64)]) -> Vec<Claim> {
        let claim = |(stream, sequence): &(&str, u64)| Claim {
            stream: (*stream).to_owned(),
            epoch: 0,
            sequence: *sequence,
            from_one: true,
        };
        claims.iter().map(claim).collect()
    }

    #[test]
    fn a_stream_that_both_know_goes_as_far_as_either_says() {
        let both = merged(page(&[("A", 3), ("B", 9)]), page(&[("A", 4), ("B", 7), ("C", 1)]), 10);
        assert_eq!(both, page(&[("A", 4), ("B", 9), ("C", 1)]));
    }

    #[test]
    fn no_name_is_passed_by_where_a_page_is_full() {
        let (first, second) = (page(&[("A", 1), ("D", 1)]), page(&[("E", 1), ("F", 1)]));
        assert_eq!(merged(first, second, 2), page(&[("A", 1), ("D", 1)]));
        let (first, second) = (page(&[("A", 1), ("Z", 1)]), page(&[("B", 1), ("C", 1)]));
        assert_eq!(merged(first, second, 2), page(&[("A", 1), ("B", 1)]));
    }
}
