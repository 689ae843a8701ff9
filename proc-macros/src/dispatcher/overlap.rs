//! An event may match one handler only.

use super::ast::Handler;
use crate::diagnostics::Diagnostics;

/// Check that no two handlers take the same version of an event.
///
/// A handler with `#[cfg]` may not exist; those are compared when the consumer starts.
pub(crate) fn check(handlers: &[Handler], diagnostics: &mut Diagnostics) {
    for (index, second) in handlers.iter().enumerate() {
        let clash = handlers.iter().take(index).find(|first| {
            first.options.event.value() == second.options.event.value()
                && first.conditions.is_empty()
                && second.conditions.is_empty()
                && match (&first.options.range, &second.options.range) {
                    (Some(first), Some(second)) => first.overlaps(second),
                    // A faulty version has an error of its own.
                    _ => false,
                }
        });
        if let Some(first) = clash {
            report(first, second, diagnostics);
        }
    }
}

fn report(first: &Handler, second: &Handler, diagnostics: &mut Diagnostics) {
    let event = second.options.event.value();
    let (first_name, second_name) = (first.name(), second.name());
    let place = |handler: &Handler| handler.options.version.clone().unwrap_or_else(|| handler.options.event.clone());
    let message = match (&first.options.version, &second.options.version) {
        (None, None) => format!(
            "`{event}` is already handled by `{first_name}`, in every version\n\
             help: an event may match one handler only; give each a range of versions, or merge the methods"
        ),
        (None, Some(version)) => format!(
            "versions {:?} of `{event}` are already handled by `{first_name}`, which takes every version\n\
             help: an event may match one handler only; give `{first_name}` a range that ends where this one begins",
            version.value()
        ),
        (Some(version), None) => format!(
            "`{second_name}` takes every version of `{event}`, but `{first_name}` already handles {:?}\n\
             help: an event may match one handler only; give `{second_name}` a range that leaves those out",
            version.value()
        ),
        (Some(left), Some(right)) => format!(
            "versions {:?} of `{event}` overlap with {:?} of `{first_name}`\n\
             help: an event may match one handler only; make the ranges disjoint",
            right.value(),
            left.value()
        ),
    };
    diagnostics.error(place(second), message);
    diagnostics.error(place(first), format!("`{first_name}` overlaps with `{second_name}` here"));
}
