//! How many rows a reader asks for. A query that is given up early is sent to its end by the server all the same, so a reader must not ask
//! for many more than it takes.

/// The most rows of one query.
const MOST_ROWS: usize = 256;
/// The rows of the first query, when nobody knows how large they are.
const FIRST_ROWS: usize = 16;
/// About the most bytes of one query.
pub(super) const PAGE_BYTES: usize = 4 * 1_024 * 1_024;

/// The size of a reader's next page, by what the last one was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSize {
    /// Twice as many as fill a page: they may be smaller than the last ones.
    rows: usize,
    /// How many rows it takes to find an event: more than one where others' are passed by.
    rows_an_event: usize,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { rows: FIRST_ROWS, rows_an_event: 1 }
    }
}

impl PageSize {
    /// How many rows to ask for; where there is no room for a page, about as many as show one event.
    pub(super) fn rows(self, has_room: bool) -> usize {
        if has_room { self.rows } else { self.rows_an_event }
    }

    /// A page had so many rows, and in them so many events and bytes.
    pub(super) fn saw(&mut self, rows: usize, events: usize, bytes: usize) {
        if rows > 0 {
            self.rows = ((PAGE_BYTES * 2).saturating_mul(rows) / bytes.max(1)).clamp(1, MOST_ROWS);
            self.rows_an_event = rows.checked_div(events).unwrap_or(MOST_ROWS).clamp(1, MOST_ROWS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1_024 * 1_024;

    #[test]
    fn a_page_has_as_many_rows_as_their_size_allows() {
        let mut size = PageSize::default();
        assert_eq!((size.rows(true), size.rows(false)), (16, 1));
        let mut after = |rows: usize, bytes: usize| {
            size.saw(rows, rows, bytes);
            size.rows(true)
        };
        assert_eq!(after(16, 16 * 1_024), 256, "small ones");
        assert_eq!(after(5, 5 * MIB), 8, "twice as many as fill a page");
        assert_eq!(after(0, 0), 8, "nothing says nothing");
        assert_eq!(after(1, 100 * MIB), 1, "one that is larger than a page");
        assert_eq!(after(1, usize::MAX), 1);
    }

    #[test]
    fn rows_that_are_passed_by_count_as_nothing() {
        let mut size = PageSize::default();
        size.saw(16, 0, 0);
        assert_eq!((size.rows(true), size.rows(false)), (256, 256));
        size.saw(256, 8, 8 * MIB);
        assert_eq!((size.rows(true), size.rows(false)), (256, 32), "one event at a time where there is no room");
    }
}
