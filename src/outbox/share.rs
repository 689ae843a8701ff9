//! Which buckets a relay ought to own, so that all relays own about as many.

use super::bucket::BUCKETS;
use super::wake::BucketSet;

/// How many buckets `me` ought to own among `members`, who need not be sorted and of whom `me` may be missing.
pub(super) fn share(members: &[String], me: &str) -> usize {
    let others = members.iter().filter(|member| *member != me);
    let before = others.clone().filter(|member| member.as_str() < me).count();
    let members = others.count() + 1;
    // The first few take the rest, so that the shares add up exactly and nobody passes a bucket back and forth.
    BUCKETS / members + usize::from(before < BUCKETS % members)
}

/// Which of the `free` buckets to take, if `share` is the aim. Relays begin at different places, so as not to want the same.
pub(super) fn to_claim(free: BucketSet, owned: usize, share: usize, me: &str) -> Vec<u8> {
    let start = super::bucket_of(me);
    let in_turn = (0..=u8::MAX).map(|offset| start.wrapping_add(offset));
    in_turn.filter(|bucket| free.contains(*bucket)).take(share.saturating_sub(owned)).collect()
}

/// Which of the `owned` buckets to give up, if `share` is the aim.
pub(super) fn to_release(owned: BucketSet, share: usize) -> BucketSet {
    owned.iter().skip(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all_buckets() {
        for count in 1..=300 {
            let members: Vec<_> = (0..count).map(|member| format!("{member:03}")).collect();
            let shares: Vec<_> = members.iter().map(|me| share(&members, me)).collect();
            assert_eq!(shares.iter().sum::<usize>(), BUCKETS, "{count} members");
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn a_newcomer_counts_itself() {
        assert_eq!(share(&[], "a"), BUCKETS);
        assert_eq!(share(&["b".to_owned()], "a"), BUCKETS / 2);
    }

    #[test]
    fn no_more_is_claimed_or_kept_than_the_share() {
        let all: BucketSet = (0..=u8::MAX).collect();
        assert_eq!(to_claim(all, 100, 128, "a").len(), 28);
        assert_eq!(to_claim(all, 128, 128, "a").len(), 0);
        assert_eq!(to_release(all, 128).len(), 128);
        assert_eq!(to_release(all, 256).len(), 0);
    }
}
