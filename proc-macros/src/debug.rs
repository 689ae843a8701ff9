//! Shows what a macro wrote, for those who ask.

use proc_macro2::TokenStream;

/// Set to `1`, it prints every expansion to standard error.
const VARIABLE: &str = "TIDINGS_MACROS_DEBUG";

/// The same tokens; printed if the variable asks for it.
#[allow(clippy::print_stderr, reason = "a macro has no other channel, and the user asked for it")]
pub(crate) fn printed(name: &str, tokens: TokenStream) -> TokenStream {
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "1") {
        eprintln!("// {VARIABLE}: {name}\n{tokens}\n");
    }
    tokens
}
