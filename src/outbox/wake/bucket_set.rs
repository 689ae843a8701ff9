//! A set of buckets, as a bit for each.

use std::fmt;

use crate::outbox::BUCKETS;

/// How many bytes a set is written in.
pub(super) const SET_BYTES: usize = BUCKETS / 8;

/// A set of buckets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BucketSet([u64; BUCKETS / 64]);

impl BucketSet {
    pub(crate) const EMPTY: Self = Self([0; BUCKETS / 64]);

    pub(super) fn to_bytes(self) -> [u8; SET_BYTES] {
        let mut bytes = [0; SET_BYTES];
        for (word, place) in self.0.iter().zip(bytes.chunks_exact_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; SET_BYTES]) -> Self {
        let mut set = Self::EMPTY;
        for (bucket, place) in (0..=u8::MAX).map(|bucket| (bucket, usize::from(bucket / 8))) {
            if bytes[place] & (1 << (bucket % 8)) != 0 {
                set.insert(bucket);
            }
        }
        set
    }

    pub(crate) fn insert(&mut self, bucket: u8) {
        self.0[usize::from(bucket / 64)] |= 1 << (bucket % 64);
    }

    pub(crate) fn contains(self, bucket: u8) -> bool {
        self.0[usize::from(bucket / 64)] & (1 << (bucket % 64)) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    pub(crate) fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |bucket| self.contains(*bucket))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }
}

impl FromIterator<u8> for BucketSet {
    fn from_iter<I: IntoIterator<Item = u8>>(buckets: I) -> Self {
        let mut set = Self::EMPTY;
        buckets.into_iter().for_each(|bucket| set.insert(bucket));
        set
    }
}

impl fmt::Debug for BucketSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_buckets_adds_and_takes_away() {
        let all: BucketSet = (0..=u8::MAX).collect();
        let some: BucketSet = [0, 63, 64, 255].into_iter().collect();
        assert_eq!((all.len(), all.without(some).len(), all.and(some)), (256, 252, some));
    }

    #[test]
    fn a_set_comes_back_from_its_bytes() {
        for set in [BucketSet::EMPTY, [0, 7, 8, 63, 64, 200, 255].into_iter().collect(), (0..=u8::MAX).collect()] {
            assert_eq!(BucketSet::from_bytes(&set.to_bytes()), set);
        }
    }
}
