//! Where the items of lists and maps are.

use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};

use super::error::Misfit;

/// Where each list or map of a column ends.
#[derive(Debug)]
pub(super) struct Places {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    fn end(&self) -> i32 {
        self.offsets.last().copied().unwrap_or(0)
    }

    pub(super) fn push(&mut self, count: usize) -> Result<(), Misfit> {
        let end = i32::try_from(count).ok().and_then(|count| self.end().checked_add(count));
        self.offsets.push(end.ok_or_else(|| Misfit(format!("{count} more items are too many for one file")))?);
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.offsets.push(self.end());
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        // They ascend from 0, by how they are made.
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), self.nulls.finish())
    }
}
