//! Where a relay takes what it finds.

/// Where the relay takes an event of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Target {
    /// To the topic.
    #[default]
    Kafka,
    /// To an event store, which forwards it.
    Store,
}

impl Target {
    /// As its row says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Store => "store",
        }
    }

    /// What a row says; Kafka where it says nothing that is known.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn of_text(text: &str) -> Self {
        if text == Self::Store.as_str() { Self::Store } else { Self::Kafka }
    }
}
