//! Writes the types, each in the module of its namespace.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{LitStr, Path};

use super::check::EventProperties;
use super::folder::SchemaFile;
use super::identifiers::{identifier, snake_case, upper_camel_case};
use super::types::{Surroundings, rust_type};
use super::unions;
use crate::diagnostics::Diagnostics;
use crate::event::debug;
use crate::event::schema::{Field, Record, Schema, Shape, last_part};

/// The types so far.
pub(super) struct Namespaces<'a> {
    krate: &'a Path,
    root: Module,
    /// By full name: what was written, and where it was defined.
    known: BTreeMap<String, (String, String)>,
}

#[derive(Default)]
struct Module {
    types: TokenStream,
    modules: BTreeMap<String, Self>,
}

impl<'a> Namespaces<'a> {
    pub(super) fn new(krate: &'a Path) -> Self {
        Self { krate, root: Module::default(), known: BTreeMap::new() }
    }

    /// The types of an event.
    pub(super) fn add(
        &mut self,
        file: &SchemaFile,
        event: &EventProperties,
        literal: &LitStr,
        diagnostics: &mut Diagnostics,
    ) {
        let mut writer = Writer { schema: &file.schema, literal, diagnostics, namespaces: self };
        writer.record(file.record(), &mut Vec::new(), Some((event, file.path.as_str())));
    }

    pub(super) fn into_tokens(self) -> TokenStream {
        self.root.into_tokens()
    }
}

impl Module {
    fn into_tokens(self) -> TokenStream {
        let types = self.types;
        let modules = self.modules.into_iter().map(|(name, module)| {
            let ident = identifier(&name, proc_macro2::Span::call_site());
            let doc = format!("The namespace `{name}`.");
            let module = module.into_tokens();
            quote! {
                #[doc = #doc]
                pub mod #ident {
                    #module
                }
            }
        });
        quote!(#types #(#modules)*)
    }
}

/// Writes the types of one schema.
struct Writer<'a, 'k> {
    schema: &'a Schema,
    literal: &'a LitStr,
    diagnostics: &'a mut Diagnostics,
    namespaces: &'a mut Namespaces<'k>,
}

impl<'a> Writer<'a, '_> {
    fn error(&mut self, field: &Field, owner: &str, message: &str) {
        let (message, help) = message.split_once('\n').unwrap_or((message, ""));
        let place = self.schema.quote(&field.place);
        self.diagnostics
            .error(self.literal, format!("field `{}` of `{owner}`: {message}\n{place}\n{help}", field.name));
    }

    /// A record, and the types that it defines.
    fn record(&mut self, record: &'a Record, open: &mut Vec<&'a str>, event: Option<(&EventProperties, &str)>) {
        open.push(&record.full_name);
        let errors = self.diagnostics.len();
        for field in &record.fields {
            self.defined_by(&field.shape, open);
        }
        let krate = self.namespaces.krate.clone();
        let span = self.literal.span();
        let (namespace, name) = split(&record.full_name);
        let mut names: Vec<String> = Vec::new();
        let mut fields = TokenStream::new();
        let mut shown = Vec::new();
        for field in &record.fields {
            let snake = snake_case(&field.name);
            if names.contains(&snake) {
                self.error(
                    field,
                    &record.full_name,
                    &format!("another field is called `{snake}` in Rust too\nhelp: rename one"),
                );
                continue;
            }
            names.push(snake.clone());
            let union_name = unions::name_of(name, &field.name);
            let at = Surroundings { krate: &krate, span, namespace, open, union_name: &union_name };
            self.unions(field, &record.full_name, &at);
            let ty = match rust_type(&field.shape, &at) {
                Ok(ty) => ty,
                Err(message) => {
                    self.error(field, &record.full_name, &message);
                    continue;
                }
            };
            let ident = identifier(&snake, span);
            let doc = field.doc.clone().unwrap_or_else(|| format!("The field `{}`.", field.name));
            let plain = ident.to_string();
            let rename = (plain.trim_start_matches("r#") != field.name).then(|| {
                let name = &field.name;
                quote!(#[serde(rename = #name)])
            });
            let markers = event.map(|(event, _)| {
                let key = (event.key == field.name).then(|| quote!(#[event(key)]));
                let id = (event.entity_id.as_ref() == Some(&field.name)).then(|| quote!(#[event(entity_id)]));
                quote!(#key #id)
            });
            fields.extend(quote! {
                #[doc = #doc]
                #markers
                #rename
                pub #ident: #ty,
            });
            let hidden = debug::is_marked(&field.properties) || debug::is_marked(&record.properties);
            shown.push((ident, hidden));
        }
        open.pop();
        // A struct with a hole would only be reported once more, by the derive.
        if self.diagnostics.len() > errors {
            return;
        }
        let ident = identifier(name, span);
        let doc = record.doc.clone().unwrap_or_else(|| format!("The record `{}`.", record.full_name));
        let serde = quote!(#krate::__private::serde);
        let serde_path = path_text(&serde);
        let (derive, attribute) = match event {
            Some((event, path)) => {
                let (full_name, version) = (&record.full_name, &event.version);
                let entity = event.entity.as_ref().map(|entity| quote!(entity = #entity,));
                // Written below, or derived of fields that hide what is theirs.
                let debug = debug::has_marks(record).then(|| quote!(debug = "own",));
                let attribute = quote! {
                    #[event(name = #full_name, version = #version, schema = #path, #entity #debug crate = #krate)]
                };
                (quote!(, #krate::Event), attribute)
            }
            None => (TokenStream::new(), TokenStream::new()),
        };
        // What must not be seen is not seen in logs either.
        let has_secrets = shown.iter().any(|(_, secret)| *secret);
        let debug = if has_secrets { debug::implement(&ident, name, &shown) } else { TokenStream::new() };
        let derive_debug = (!has_secrets).then(|| quote!(::core::fmt::Debug,));
        let tokens = quote! {
            #[doc = #doc]
            #[derive(#derive_debug ::core::clone::Clone, ::core::cmp::PartialEq, #serde::Serialize, #serde::Deserialize #derive)]
            #[serde(crate = #serde_path, rename = #name)]
            #attribute
            #[allow(non_camel_case_types, clippy::derive_partial_eq_without_eq, reason = "named and made as the schema says")]
            pub struct #ident {
                #fields
            }
            #debug
        };
        self.define(&record.full_name, tokens, event.is_some());
    }

    /// The enums of the unions in a field.
    fn unions(&mut self, field: &'a Field, owner: &str, at: &Surroundings<'_>) {
        let mut enums = Vec::new();
        unions::enums_of(&field.shape, at.union_name, &mut enums);
        for union in enums {
            let doc = format!("One of the types of the field `{}` of `{owner}`.", field.name);
            match union.tokens(&doc, at) {
                Ok(tokens) => self.define(&full_name(at.namespace, &union.name), tokens, false),
                Err(message) => self.error(field, owner, &message),
            }
        }
    }

    /// The named types that a type defines.
    fn defined_by(&mut self, shape: &'a Shape, open: &mut Vec<&'a str>) {
        match shape {
            Shape::Array(part) | Shape::Map(part) => self.defined_by(part, open),
            Shape::Union(branches) => branches.iter().for_each(|branch| self.defined_by(branch, open)),
            Shape::Record(record) => self.record(record, open, None),
            Shape::Enum { full_name, symbols, default, doc, .. } => {
                self.enumeration(full_name, symbols, default.as_deref(), doc.as_deref());
            }
            Shape::Primitive { .. } | Shape::Fixed { .. } | Shape::Reference(_) => {}
        }
    }

    fn enumeration(&mut self, full_name: &str, symbols: &[String], default: Option<&str>, doc: Option<&str>) {
        let span = self.literal.span();
        let krate = self.namespaces.krate;
        let serde = quote!(#krate::__private::serde);
        let serde_path = path_text(&serde);
        let name = last_part(full_name);
        let ident = identifier(name, span);
        let mut names: Vec<String> = Vec::new();
        let mut variants = TokenStream::new();
        for symbol in symbols {
            let variant = upper_camel_case(symbol);
            if names.contains(&variant) {
                let message = format!(
                    "the enum `{full_name}` has two symbols that are `{variant}` in Rust\n{}: {symbol}\nhelp: rename one",
                    self.schema.label
                );
                self.diagnostics.error(self.literal, message);
                continue;
            }
            let ident = identifier(&variant, span);
            names.push(variant);
            let doc = format!("`{symbol}`.");
            let is_default = (default == Some(symbol)).then(|| quote!(#[default]));
            variants.extend(quote! {
                #[doc = #doc]
                #is_default
                #[serde(rename = #symbol)]
                #ident,
            });
        }
        let doc = doc.map_or_else(|| format!("The enum `{full_name}`."), str::to_owned);
        let derive_default = default.map(|_| quote!(::core::default::Default,));
        let tokens = quote! {
            #[doc = #doc]
            #[derive(
                ::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq, ::core::cmp::Eq,
                ::core::hash::Hash, #derive_default #serde::Serialize, #serde::Deserialize
            )]
            #[serde(crate = #serde_path, rename = #name)]
            #[allow(non_camel_case_types, reason = "named as the schema says")]
            pub enum #ident {
                #variants
            }
        };
        self.define(full_name, tokens, false);
    }

    /// Put a type into its module, once: several events may define the same one, each for itself.
    fn define(&mut self, full_name: &str, tokens: TokenStream, is_event: bool) {
        let (text, label) = (tokens.to_string(), self.schema.label.clone());
        if let Some((known, other)) = self.namespaces.known.get(full_name) {
            if *known != text || is_event {
                let message = format!(
                    "`{full_name}` is defined in `{other}` and otherwise in `{label}`, and one name is one type\n\
                     help: make them the same, rename one, or put a former version into the folder `released`"
                );
                self.diagnostics.error(self.literal, message);
            }
            return;
        }
        self.namespaces.known.insert(full_name.to_owned(), (text, label));
        let namespace = split(full_name).0;
        let mut module = &mut self.namespaces.root;
        for part in namespace.split('.').filter(|part| !part.is_empty()) {
            module = module.modules.entry(part.to_owned()).or_default();
        }
        module.types.extend(tokens);
    }
}

fn full_name(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn split(full_name: &str) -> (&str, &str) {
    full_name.rsplit_once('.').unwrap_or(("", full_name))
}

/// A path as text, for an attribute that wants it so.
fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}
