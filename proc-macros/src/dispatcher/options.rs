//! What the user wrote into `#[dispatcher(..)]` and `#[on(..)]`.

use proc_macro2::{Span, TokenStream};
use semver::VersionReq;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, LitStr, Meta, Path, Token, parse_quote};

use super::batch::BatchOptions;
use super::policy::{PolicyOptions, policy_keys};
use crate::attr::{self, OptionReader};
use crate::diagnostics::Diagnostics;
use crate::names;
use crate::version_req::VersionRange;

/// The options of a block.
pub(crate) struct BlockOptions {
    pub(crate) source: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) policy: PolicyOptions,
    /// The path to the `tidings` crate.
    pub(crate) krate: Path,
}

impl BlockOptions {
    pub(crate) fn parse(arguments: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut options =
            Self { source: None, name: None, policy: PolicyOptions::default(), krate: parse_quote!(::tidings) };
        let mut source_seen = false;
        let parser = |input: ParseStream<'_>| {
            let mut reader = OptionReader::new("#[dispatcher]", policy_keys!("source", "name"; "crate", "batch"));
            reader.hide("batch");
            reader.read(input, diagnostics, |key, input, diagnostics| {
                if key == "batch" {
                    let message = "a batch is what a handler takes, so each handler says so itself\n\
                                   help: `#[on(\"accounts.UserUpdated\", batch(max = 100, wait = \"50ms\"))]`";
                    diagnostics.error(key, message);
                    // What it says is read, and checked, where it belongs.
                    attr::skip_value(input);
                } else if key == "source" {
                    source_seen = true;
                    let source = attr::string(key, input, "source = \"accounts\"")?;
                    check_name("a source", &source, diagnostics);
                    options.source = Some(source);
                } else if key == "name" {
                    let name = attr::string(key, input, "name = \"leaderboards\"")?;
                    check_name("a dispatcher's name", &name, diagnostics);
                    options.name = Some(name);
                } else if key == "crate" {
                    options.krate = attr::path(key, input)?;
                } else {
                    options.policy.read(key, input, diagnostics)?;
                }
                Ok(())
            });
            Ok(())
        };
        if let Err(error) = parser.parse2(arguments) {
            diagnostics.push(error);
        }
        if !source_seen {
            diagnostics.error_at(
                Span::call_site(),
                "missing `source`: the service whose events this block handles, which is the name of its topic\n\
                 help: `#[dispatcher(source = \"accounts\")]`",
            );
        }
        options
    }
}

fn check_name(what: &str, literal: &LitStr, diagnostics: &mut Diagnostics) {
    if let Err(message) = names::check_topic_name(what, &literal.value()) {
        diagnostics.error(literal, message);
    }
}

/// The options of a handler.
pub(crate) struct HandlerOptions {
    pub(crate) event: LitStr,
    pub(crate) version: Option<LitStr>,
    /// `None` where the version is faulty.
    pub(crate) range: Option<VersionRange>,
    pub(crate) policy: PolicyOptions,
    pub(crate) batch: Option<BatchOptions>,
    /// The payload's field whose shard the handler's transaction is on.
    pub(crate) shard: Option<Ident>,
}

impl HandlerOptions {
    /// Read an `#[on(..)]`; `None` if it names no event.
    pub(crate) fn parse(attribute: &Attribute, diagnostics: &mut Diagnostics) -> Option<Self> {
        const MISSING: &str = "expected the event's name first\nhelp: `#[on(\"accounts.UserUpdated\")]`";
        let Meta::List(list) = &attribute.meta else {
            diagnostics.error(attribute, MISSING);
            return None;
        };
        let mut options = None;
        let parser = |input: ParseStream<'_>| {
            if input.is_empty() {
                diagnostics.error(attribute, MISSING);
                return Ok(());
            }
            let event = match input.parse::<LitStr>() {
                Ok(event) => Some(event),
                Err(error) => {
                    diagnostics.error_at(error.span(), MISSING);
                    None
                }
            };
            if event.is_some() && !input.is_empty() && !input.peek(Token![,]) {
                diagnostics.error_at(input.span(), "expected `,`");
            }
            let _: Option<Token![,]> = input.parse()?;
            options = event.map(|event| {
                check_event(&event, diagnostics);
                Self {
                    event,
                    version: None,
                    range: Some(VersionRange::Any),
                    policy: PolicyOptions::default(),
                    batch: None,
                    shard: None,
                }
            });
            match &mut options {
                Some(options) => options.read(input, diagnostics),
                // Without a name there is nothing to check the rest against.
                None => input.parse::<TokenStream>().map(drop)?,
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(list.tokens.clone()) {
            diagnostics.push(error);
        }
        options
    }

    fn read(&mut self, input: ParseStream<'_>, diagnostics: &mut Diagnostics) {
        let mut reader = OptionReader::new("#[on]", policy_keys!("version"; "batch", "shard"));
        reader.read(input, diagnostics, |key, input, diagnostics| {
            if key == "version" {
                let literal = attr::string(key, input, "version = \">=1.2.3, <3\"")?;
                self.range = None;
                self.range = Some(version_range(&literal)?);
                self.version = Some(literal);
            } else if key == "batch" {
                self.batch = Some(BatchOptions::read(key, input, diagnostics)?);
            } else if key == "shard" {
                self.shard = Some(attr::field(key, input, "shard = guild_id")?);
            } else {
                self.policy.read(key, input, diagnostics)?;
            }
            Ok(())
        });
    }
}

fn check_event(literal: &LitStr, diagnostics: &mut Diagnostics) {
    if let Err(message) = names::check_event_name(&literal.value()) {
        diagnostics.error(literal, message);
    }
}

fn version_range(literal: &LitStr) -> syn::Result<VersionRange> {
    let text = literal.value();
    let requirement = text.parse::<VersionReq>().map_err(|error| {
        let message = format!(
            "invalid version requirement {text:?}: {error}\n\
             help: as in Cargo.toml, e.g. \">=1.2.3, <3\" or \"^2\"; leave `version` out to take every version"
        );
        syn::Error::new(literal.span(), message)
    })?;
    let range = VersionRange::Matching(requirement);
    if range.is_empty() {
        let message = format!("no version matches {text:?}: all its parts must hold at once");
        return Err(syn::Error::new(literal.span(), message));
    }
    Ok(range)
}
