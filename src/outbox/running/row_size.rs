//! How many rows a read asks for. MySQL sends a query that is given up early to its end all the same, so a read must not ask for many more
//! rows than there is room for.

/// How many a read asks for in any case, and while nobody knows how large they are.
const FEWEST_ROWS: usize = 16;

/// How many bytes a row had lately, once some were read.
#[derive(Debug, Default)]
pub(super) struct RowSize(Option<usize>);

impl RowSize {
    /// About twice as many rows as `bytes` have room for: they may be smaller than the last ones. At most `most`.
    pub(super) fn rows_within(&self, bytes: usize, most: usize) -> usize {
        let rows = self.0.map_or(0, |size| bytes.saturating_mul(2) / size);
        rows.max(FEWEST_ROWS).min(most)
    }

    /// A read has shown so many rows. Large ones count at once, small ones by and by.
    pub(super) fn saw(&mut self, rows: usize, bytes: usize) {
        if let Some(size) = bytes.checked_div(rows) {
            let before = self.0.unwrap_or_default();
            self.0 = Some(size.max(size.midpoint(before)).max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1_024 * 1_024;

    #[test]
    fn a_read_asks_for_as_many_rows_as_there_is_room_for() {
        let mut size = RowSize::default();
        assert_eq!(size.rows_within(32 * MIB, 2_048), 16, "nothing is known yet");
        size.saw(16, 16 * 1_024);
        assert_eq!(size.rows_within(32 * MIB, 2_048), 2_048);
        size.saw(33, 33 * MIB);
        assert_eq!(size.rows_within(32 * MIB, 2_048), 64, "large ones, at once");
        size.saw(0, 0);
        assert_eq!(size.rows_within(16 * MIB, 2_048), 32, "nothing says nothing");
        size.saw(16, 16 * 1_024);
        assert_eq!(size.rows_within(32 * MIB, 2_048), 127, "small ones, by and by");
        size.saw(1, 100 * MIB);
        assert_eq!((size.rows_within(32 * MIB, 2_048), size.rows_within(0, 8)), (16, 8));
    }
}
