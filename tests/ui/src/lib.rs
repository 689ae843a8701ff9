//! Programs that must, or must not, compile; see `tests/`.
