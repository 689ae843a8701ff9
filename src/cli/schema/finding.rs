//! What a check of schemas has to say, with the pieces of text it is about.

/// Something wrong, or worth knowing.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) is_error: bool,
    pub(super) message: String,
    /// Pieces of the schemas it is about, the working tree's first.
    pub(super) pieces: Vec<Piece>,
    pub(super) help: Option<String>,
}

/// A piece of a schema's text.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) origin: String,
    pub(super) text: String,
    pub(super) at: std::ops::Range<usize>,
    pub(super) label: String,
}

impl Finding {
    pub(super) fn new(is_error: bool, message: String, help: impl Into<Option<String>>) -> Self {
        Self { is_error, message, pieces: Vec::new(), help: help.into() }
    }
}
