//! What can be told of a field's type by its name. Types are known to the compiler only, so this finds what is certain and is
//! silent about the rest.

use syn::visit::Visit;
use syn::{GenericArgument, Ident, PathArguments, Type, TypePath};

/// The type in an `Option<..>` that is called so.
pub(crate) fn option_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

/// Whether the type is, by its name, one that cannot be null. An unknown name may be an alias of an `Option`.
pub(crate) fn is_plain(ty: &Type) -> bool {
    const PLAIN: &[&str] = &[
        "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "f32", "f64", "char", "String", "Vec", "HashMap",
        "BTreeMap", "Uuid",
    ];
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| PLAIN.iter().any(|name| last.ident == name)))
}

/// The integers in the type that Avro's `long` cannot hold.
pub(crate) fn too_large(ty: &Type) -> Vec<&Ident> {
    let mut finder = TooLarge(Vec::new());
    finder.visit_type(ty);
    finder.0
}

struct TooLarge<'a>(Vec<&'a Ident>);

impl<'a> Visit<'a> for TooLarge<'a> {
    fn visit_type_path(&mut self, path: &'a TypePath) {
        const NAMES: &[&str] = &["u64", "u128", "i128", "usize"];
        self.0.extend(path.path.get_ident().filter(|ident| NAMES.iter().any(|name| *ident == name)));
        syn::visit::visit_type_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn large_integers_are_found_at_any_depth() {
        let ty: Type = parse_quote!(HashMap<String, Vec<Option<(u64, [usize; 3], i64)>>>);
        assert_eq!(too_large(&ty), ["u64", "usize"]);
    }

    #[test]
    fn an_option_is_known_by_its_last_name() {
        let ty: Type = parse_quote!(std::option::Option<i64>);
        assert_eq!(option_argument(&ty).map(|ty| ty.to_token_stream().to_string()).as_deref(), Some("i64"));
        assert!(option_argument(&parse_quote!(Maybe<i64>)).is_none());
        assert!(is_plain(&parse_quote!(std::string::String)) && !is_plain(&parse_quote!(Nickname)));
    }
}
