//! The columns of an envelope, which the outbox and the event store have under the same names.

use super::sql::Dialect;
use crate::envelope::{Envelope, rfc3339};

/// The columns that [`push_envelope`] writes, in order.
pub(crate) const ENVELOPE_COLUMNS: &str = "partition_key, source, event_type, schema_version, occurred_at, recorded_at, \
     correlation_id, causation_id, data_schema, traceparent, tracestate";

/// Append the values of [`ENVELOPE_COLUMNS`], as literals.
pub(crate) fn push_envelope(dialect: Dialect, sql: &mut String, envelope: &Envelope) {
    for text in [
        envelope.key.as_str(),
        &format!("/{}", envelope.source),
        &envelope.event,
        &envelope.schema_version,
        &rfc3339(envelope.time),
        &rfc3339(envelope.recorded_time),
        &envelope.correlation_id,
    ] {
        dialect.push_text(sql, text);
        sql.push_str(", ");
    }
    dialect.push_optional_text(sql, envelope.causation_id.as_deref());
    sql.push_str(", ");
    dialect.push_text(sql, &envelope.data_schema);
    sql.push_str(", ");
    dialect.push_text(sql, &envelope.traceparent);
    sql.push_str(", ");
    dialect.push_optional_text(sql, envelope.tracestate.as_deref());
}
