//! Keeps spans, for tests to look at.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

pub(crate) type Fields = BTreeMap<String, String>;

/// Records spans, in the order they were made.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Recorded>>>);

/// A span that was made.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    id: Id,
    pub(crate) metadata: &'static Metadata<'static>,
    /// The name of the span it is in.
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: Fields,
}

impl Recorded {
    /// A field's value; empty where it has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Each of `expected` is what the field of that name has.
    #[track_caller]
    pub(crate) fn assert_fields(&self, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(self.field(name), *value, "{name} of {self:?}");
        }
    }
}

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Collect(&mut fields));
        let parent = context.span(id).and_then(|span| span.parent()).map(|parent| parent.name());
        self.0.lock().push(Recorded { id: id.clone(), metadata: attributes.metadata(), parent, fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut spans = self.0.lock();
        // The registry uses ids again: the latest.
        if let Some(span) = spans.iter_mut().rev().find(|span| span.id == *id) {
            values.record(&mut Collect(&mut span.fields));
        }
    }
}

impl Recorder {
    /// The spans of this name.
    pub(crate) fn named(&self, name: &str) -> Vec<Recorded> {
        self.0.lock().iter().filter(|span| span.metadata.name() == name).cloned().collect()
    }

    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Make `subscriber` this thread's. A second one, kept beside it, makes `tracing` ask both what they want: while there is but one it
/// believes whichever thread meets a span first, and other tests' threads have none.
pub(crate) fn subscribe(subscriber: impl Subscriber + Send + Sync) -> (DefaultGuard, Dispatch) {
    let second = Dispatch::new(Registry::default());
    (tracing::subscriber::set_default(subscriber), second)
}
