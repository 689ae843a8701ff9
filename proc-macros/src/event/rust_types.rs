//! What can be told of a field's type by its name. Types are known to the compiler only, so this finds what is certain and is
//! silent about the rest.

use syn::visit::Visit;
use syn::{GenericArgument, Ident, PathArguments, Type, TypePath};

use super::schema::Shape;

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

/// The part of the type that is certainly not written as the schema says, and what the schema says of it.
pub(crate) fn mismatch<'t, 's>(ty: &'t Type, shape: &'s Shape) -> Option<(&'t Type, &'s Shape)> {
    if let (Some(inner), Some(branches)) = (option_argument(ty), shape.optional_branches()) {
        let mut others = branches.iter().filter(|branch| !branch.is_null());
        return match (others.next(), others.next()) {
            (Some(other), None) => mismatch(inner, other),
            (Some(_), Some(_)) if is_plain(inner) => Some((ty, shape)),
            _ => None,
        };
    }
    // A union of more types is an enum's, of which no more can be told than that it is no plain type.
    if shape.choices().is_some() && is_plain(ty) {
        return Some((ty, shape));
    }
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let arguments: Vec<&Type> = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            let types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    };
    let written_as: &[&str] = match (last.ident.to_string().as_str(), arguments.as_slice(), shape) {
        // What a union, or a name, stands for is not looked at.
        (_, _, Shape::Union(_) | Shape::Reference(_)) => return None,
        ("Vec", [items], Shape::Array(shape)) => return mismatch(items, shape),
        ("HashMap" | "BTreeMap", [_, values], Shape::Map(shape)) => return mismatch(values, shape),
        ("Vec" | "HashMap" | "BTreeMap", ..) => &[],
        (name, [], _) => primitives_of(name)?,
        _ => return None,
    };
    match shape {
        Shape::Primitive { name, .. } if written_as.contains(&name.as_str()) => None,
        _ => Some((ty, shape)),
    }
}

/// The Avro types that a Rust type of this name is written as; `None` where the name says nothing.
fn primitives_of(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "bool" => &["boolean"],
        "i8" | "i16" | "i32" | "u8" | "u16" => &["int"],
        "i64" | "u32" => &["long"],
        "f32" => &["float"],
        "f64" => &["double"],
        "String" | "char" | "Uuid" => &["string"],
        _ => return None,
    })
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
    fn a_type_is_compared_as_far_as_its_name_is_certain() {
        let primitive = |name: &str| Shape::Primitive { name: name.to_owned(), logical: None, decimal: None };
        let optional = |shape| Shape::Union(vec![primitive("null"), shape]);
        let differs = |ty: &str, shape: &Shape| {
            let ty: Type = syn::parse_str(ty).unwrap();
            mismatch(&ty, shape).map(|(ty, shape)| (ty.to_token_stream().to_string(), shape.rust_type()))
        };
        for (ty, name) in
            [("i64", "long"), ("u16", "int"), ("std::string::String", "string"), ("Cents", "long"), ("Uuid", "string")]
        {
            assert_eq!(differs(ty, &primitive(name)), None, "{ty}");
        }
        assert_eq!(differs("i32", &primitive("long")), Some(("i32".to_owned(), "i64".to_owned())));
        assert_eq!(
            differs("Option<String>", &optional(primitive("long"))),
            Some(("String".to_owned(), "i64".to_owned()))
        );
        let list = Shape::Array(Box::new(primitive("double")));
        assert_eq!(differs("Vec<f32>", &list), Some(("f32".to_owned(), "f64".to_owned())));
        assert_eq!(differs("HashMap<String, bool>", &list).map(|(_, wanted)| wanted), Some("Vec<f64>".to_owned()));
        assert_eq!(differs("Vec<u8>", &primitive("bytes")).map(|(ty, _)| ty), Some("Vec < u8 >".to_owned()));
        let either = || vec![primitive("string"), primitive("long")];
        assert_eq!(differs("Either", &Shape::Union(either())), None);
        assert_eq!(differs("String", &Shape::Union(either())), Some(("String".to_owned(), "…".to_owned())));
        let maybe = Shape::Union(vec![primitive("null"), primitive("string"), primitive("long")]);
        assert_eq!(differs("Option<Either>", &maybe), None);
        assert_eq!(differs("Option<i64>", &maybe).map(|(ty, _)| ty), Some("Option < i64 >".to_owned()));
        assert_eq!(maybe.suggestion(), "an `Option` of an enum with a variant for each of String, i64, in this order");
        let nested = Shape::Array(Box::new(Shape::Union(either())));
        assert_eq!(differs("Vec<i64>", &nested).map(|(ty, _)| ty), Some("i64".to_owned()));
    }

    #[test]
    fn an_option_is_known_by_its_last_name() {
        let ty: Type = parse_quote!(std::option::Option<i64>);
        assert_eq!(option_argument(&ty).map(|ty| ty.to_token_stream().to_string()).as_deref(), Some("i64"));
        assert!(option_argument(&parse_quote!(Maybe<i64>)).is_none());
        assert!(is_plain(&parse_quote!(std::string::String)) && !is_plain(&parse_quote!(Nickname)));
    }
}
