//! Findings as a compiler shows its errors: the lines they are about, underlined.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::finding::Finding;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;

/// Show a finding.
pub(super) fn show(finding: &Finding, printer: &Printer) -> Result<(), CliError> {
    let level = if finding.is_error { Level::ERROR } else { Level::NOTE };
    let mut group = level
        .primary_title(finding.message.as_str())
        .elements(std::iter::empty::<Snippet<'_, annotate_snippets::Annotation<'_>>>());
    for (index, piece) in finding.pieces.iter().enumerate() {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(piece.at.clone()).label(piece.label.as_str());
        group = group.element(Snippet::source(piece.text.as_str()).path(piece.origin.as_str()).annotation(annotation));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let report = [group];
    printer.coloured(&Renderer::plain().render(&report), || Renderer::styled().render(&report))
}
