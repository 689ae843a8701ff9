//! The annotated block: the user's impl without our attributes, and what they said.

use proc_macro2::TokenStream;
use syn::visit::Visit;
use syn::{Attribute, Expr, Ident, ImplItem, ItemImpl, Lifetime, Lit, Meta, Path, Signature, Type, parse_quote};

use super::conditions;
use super::options::{BlockOptions, HandlerOptions};
use crate::diagnostics::Diagnostics;

/// An annotated block.
pub(crate) struct Block {
    pub(crate) options: BlockOptions,
    /// The user's block, without `#[on]`.
    pub(crate) item: ItemImpl,
    pub(crate) handlers: Vec<Handler>,
    /// Whether a method has an `#[on]`, be it a faulty one.
    pub(crate) has_markers: bool,
}

/// An annotated method.
pub(crate) struct Handler {
    pub(crate) options: HandlerOptions,
    pub(crate) signature: Signature,
    /// `#[cfg]` attributes.
    pub(crate) conditions: Vec<TokenStream>,
    pub(crate) docs: String,
}

impl Handler {
    /// The name, without `r#`.
    pub(crate) fn name(&self) -> String {
        use syn::ext::IdentExt as _;
        self.signature.ident.unraw().to_string()
    }
}

impl Block {
    /// Read the item; `None` if it is no inherent impl block.
    pub(crate) fn parse(options: BlockOptions, item: TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut item = match syn::parse2::<syn::Item>(item) {
            Ok(syn::Item::Impl(item)) => item,
            Ok(other) => {
                reject_item(&other, diagnostics);
                return None;
            }
            Err(error) => {
                diagnostics.push(error);
                return None;
            }
        };
        if let Some((path, _)) = &item.trait_ {
            let message = "`#[dispatcher]` goes on an inherent impl block, not on the impl of a trait\n\
                           help: put the handlers into a block of their own: `impl Leaderboards { … }`";
            diagnostics.error(path, message);
            return None;
        }
        let mut handlers = Vec::new();
        let mut has_markers = false;
        for entry in &mut item.items {
            let ImplItem::Fn(method) = entry else {
                reject_marker_on(entry, diagnostics);
                continue;
            };
            let markers = take_markers(&mut method.attrs);
            reject_conditional_markers(&mut method.attrs, diagnostics);
            let [marker, surplus @ ..] = markers.as_slice() else { continue };
            has_markers = true;
            for marker in surplus {
                let message = "one `#[on]` a method: a method handles one event\n\
                               help: write a second method that calls the same code";
                diagnostics.error(marker, message);
            }
            if let Some(options) = HandlerOptions::parse(marker, diagnostics) {
                let conditions = conditions::of(&method.attrs);
                let docs = docs(&method.attrs);
                handlers.push(Handler { options, signature: method.sig.clone(), conditions, docs });
            }
            // The signature is ours to prescribe, so lints about its shape are not the user's concern. First, so that the user's own
            // attributes win.
            method.attrs.insert(
                0,
                parse_quote!(#[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]),
            );
        }
        Some(Self { options, item, handlers, has_markers })
    }

    /// The first lifetime that the type or the block depends on, other than `'static`.
    pub(crate) fn lifetime(&self) -> Option<&Lifetime> {
        let mut lifetimes = Lifetimes(Vec::new());
        lifetimes.visit_type(&self.item.self_ty);
        self.item.generics.lifetimes().map(|parameter| &parameter.lifetime).chain(lifetimes.0).next()
    }

    /// The last part of the type's name.
    pub(crate) fn type_name(&self) -> Option<&Ident> {
        match plain(&self.item.self_ty) {
            Type::Path(path) if path.qself.is_none() => path.path.segments.last().map(|segment| &segment.ident),
            _ => None,
        }
    }
}

struct Lifetimes<'a>(Vec<&'a Lifetime>);

impl<'a> Visit<'a> for Lifetimes<'a> {
    fn visit_lifetime(&mut self, lifetime: &'a Lifetime) {
        if lifetime.ident != "static" {
            self.0.push(lifetime);
        }
    }
}

/// The type without parentheses and without the invisible groups around a `macro_rules!` argument.
fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        other => other,
    }
}

/// Whether this is our attribute, by whatever path it is called.
pub(crate) fn is_marker(path: &Path) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == "on")
}

/// Remove our attributes from the method.
pub(crate) fn take_markers(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    attributes.extract_if(.., |attribute| is_marker(attribute.path())).collect()
}

fn reject_item(item: &syn::Item, diagnostics: &mut Diagnostics) {
    let message = "`#[dispatcher]` goes on an inherent impl block\n\
                   help: `#[dispatcher(source = \"accounts\")] impl Leaderboards { … }`";
    match item {
        syn::Item::Struct(item) => diagnostics.error(&item.ident, message),
        syn::Item::Enum(item) => diagnostics.error(&item.ident, message),
        syn::Item::Trait(item) => diagnostics.error(&item.ident, message),
        syn::Item::Fn(item) => diagnostics.error(&item.sig.ident, message),
        syn::Item::Mod(item) => diagnostics.error(&item.ident, message),
        other => diagnostics.error(other, message),
    }
}

fn reject_marker_on(entry: &mut ImplItem, diagnostics: &mut Diagnostics) {
    let attributes = match entry {
        ImplItem::Const(item) => &mut item.attrs,
        ImplItem::Type(item) => &mut item.attrs,
        ImplItem::Macro(item) => &mut item.attrs,
        _ => return,
    };
    for marker in take_markers(attributes) {
        diagnostics.error(marker, "`#[on]` goes on a method\nhelp: `#[on(\"…\")] async fn on_…(&self, event: …)`");
    }
}

fn reject_conditional_markers(attributes: &mut Vec<Attribute>, diagnostics: &mut Diagnostics) {
    attributes.retain(|attribute| {
        let markers: Vec<_> =
            conditions::conditional(attribute).into_iter().filter(|meta| is_marker(meta.path())).collect();
        for marker in &markers {
            let message = "`#[on]` cannot be conditional: `#[dispatcher]` is expanded before `cfg_attr`\n\
                           help: make the method conditional with `#[cfg(..)]`";
            diagnostics.error(marker, message);
        }
        markers.is_empty()
    });
}

/// The documentation comment, one line of the source a line.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect();
    lines.join("\n").trim().to_owned()
}
