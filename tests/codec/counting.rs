//! An allocator that counts, for each thread of its own.
#![allow(unsafe_code, reason = "an allocator has no safe form; it passes everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a thread allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allocated {
    /// How often memory was asked for; growing what is there counts.
    pub(crate) times: usize,
    /// The most bytes that were held at once.
    pub(crate) peak: isize,
    held: isize,
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { times: 0, peak: 0, held: 0 }) };
}

fn count(times: usize, bytes: isize) {
    // A thread that ends has no counter any more.
    let _ = ALLOCATED.try_with(|allocated| {
        let mut now = allocated.get();
        now.times += times;
        now.held += bytes;
        now.peak = now.peak.max(now.held);
        allocated.set(now);
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: the system's allocator does all of it; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `work` allocates on this thread.
pub(crate) fn allocated<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    ALLOCATED.set(Allocated::default());
    let value = work();
    (value, ALLOCATED.get())
}

#[test]
fn the_allocator_counts() {
    let (kept, allocated) = allocated(|| {
        drop(Vec::<u8>::with_capacity(1_000));
        Vec::<u8>::with_capacity(100)
    });
    assert_eq!((kept.capacity(), allocated.times, allocated.peak, allocated.held), (100, 2, 1_000, 100));
}
