//! Compares expansions with the files in `tests/expansion/`, and checks that they cannot be captured by the user's names.
//!
//! `TIDINGS_BLESS=1 cargo test -p tidings-macros` writes the files anew.

use std::path::Path;

use proc_macro2::{Group, Ident, Literal, TokenStream, TokenTree};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/expansion");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The expansion, formatted, is what the file says.
pub(crate) fn assert_snapshot(name: &str, expansion: TokenStream) {
    // Where the repository lies is no part of the expansion, nor may it decide where lines are broken.
    let root = Path::new(WORKSPACE).canonicalize().unwrap();
    let expansion = with_root_replaced(expansion, root.to_str().unwrap());
    let actual = prettyplease::unparse(&syn::parse2(expansion).unwrap());
    let path = Path::new(FOLDER).join(format!("{name}.rs"));
    if std::env::var_os("TIDINGS_BLESS").is_some() {
        std::fs::create_dir_all(FOLDER).unwrap();
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expected, actual, "{} is out of date: TIDINGS_BLESS=1 cargo test -p tidings-macros", path.display());
}

fn with_root_replaced(tokens: TokenStream, root: &str) -> TokenStream {
    let replaced = |token| match token {
        TokenTree::Literal(literal) if literal.to_string().contains(root) => {
            let text: syn::LitStr = syn::parse_str(&literal.to_string()).unwrap();
            TokenTree::Literal(Literal::string(&text.value().replace(root, "$WORKSPACE")))
        }
        TokenTree::Group(group) => {
            TokenTree::Group(Group::new(group.delimiter(), with_root_replaced(group.stream(), root)))
        }
        other => other,
    };
    tokens.into_iter().map(replaced).collect()
}

/// Names of the prelude that a user may have given to something else.
const CAPTURABLE: &[&str] = &[
    "Result",
    "Ok",
    "Err",
    "Option",
    "Some",
    "None",
    "Box",
    "Vec",
    "String",
    "Arc",
    "Cow",
    "Send",
    "Sync",
    "Into",
    "From",
    "Clone",
    "Default",
    "Future",
    "Pin",
    "Duration",
    "str",
    "bool",
    "u32",
    "u64",
    "tidings",
    "std",
    "core",
    "assert",
    "panic",
    "unreachable",
    "include_str",
    "concat",
    "Event",
    "Key",
    "Dispatcher",
    "IntoOutcome",
    "FromDelivery",
    "FromDeliveries",
    "IntoOutcomes",
    "DeliveryOrder",
    "BatchPolicy",
    "Batch",
    "Outcome",
    "Policy",
    "Entity",
    "DeleteEntity",
    "Connection",
    "Saved",
    "Versioned",
    "Table",
    "Statements",
    "Values",
    "Row",
];

/// The generated part names such things by an absolute path only. User code may name them as it likes, so the check begins at
/// the first generated item.
pub(crate) fn assert_hygienic(expansion: &TokenStream) {
    let file = syn::parse2::<syn::File>(expansion.clone()).unwrap();
    let generated = file.items.iter().skip_while(|item| !is_generated(item));
    let mut checked = 0;
    for item in generated {
        check_tokens(quote::quote!(#item), &mut checked);
    }
    assert!(checked > 0, "no generated item was found to check");
}

fn is_generated(item: &syn::Item) -> bool {
    matches!(item, syn::Item::Impl(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("automatically_derived")))
}

fn check_tokens(tokens: TokenStream, checked: &mut usize) {
    let mut behind_path = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(ident) => {
                *checked += 1;
                assert!(
                    behind_path || !CAPTURABLE.contains(&ident.to_string().as_str()),
                    "`{ident}` is not behind a path"
                );
                // What `type` declares is no use of the name.
                behind_path = ident == "type";
            }
            TokenTree::Group(group) => {
                check_tokens(group.stream(), checked);
                behind_path = false;
            }
            TokenTree::Punct(punct) => {
                // A method call or a path.
                let doubled = punct.as_char() == ':'
                    && matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                behind_path = punct.as_char() == '.' || doubled || (behind_path && punct.as_char() == ':');
            }
            TokenTree::Literal(_) => behind_path = false,
        }
    }
}

/// The identifier appears nowhere, be it behind a path.
pub(crate) fn assert_no_identifier(expansion: &TokenStream, banned: &str) {
    fn find(tokens: TokenStream, banned: &str) -> Option<Ident> {
        tokens.into_iter().find_map(|token| match token {
            TokenTree::Ident(ident) if ident == banned => Some(ident),
            TokenTree::Group(group) => find(group.stream(), banned),
            _ => None,
        })
    }
    assert!(find(expansion.clone(), banned).is_none(), "`{banned}` leaked into {expansion}");
}

#[test]
#[should_panic(expected = "`Result` is not behind a path")]
fn a_name_that_a_user_could_capture_is_noticed() {
    assert_hygienic(&quote::quote! {
        #[automatically_derived]
        impl ::tidings::Event for Anything {
            fn key(&self) -> Result<(), ::std::string::String> {}
        }
    });
}

#[test]
#[should_panic(expected = "`tidings` leaked")]
fn a_name_that_leaks_is_noticed() {
    assert_no_identifier(
        &quote::quote!(
            fn key() -> (::tidings::Key,) {}
        ),
        "tidings",
    );
}
