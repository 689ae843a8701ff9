//! `#[dispatcher]`: an impl block whose annotated methods become routes.

mod ast;
mod batch;
mod conditions;
mod expand;
mod fallback;
mod options;
mod overlap;
mod pause;
mod policy;
mod run;
mod validate;

use proc_macro2::TokenStream;
use quote::quote;

use crate::diagnostics::Diagnostics;

/// The expansion of the attribute. The user's block comes out again in every case, so one mistake does not look like many.
pub(crate) fn attribute(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::new();
    let options = options::BlockOptions::parse(arguments, &mut diagnostics);
    let Some(block) = ast::Block::parse(options, item.clone(), &mut diagnostics) else {
        let errors = diagnostics.to_compile_errors();
        let item = fallback::without_markers(item);
        return quote!(#item #errors);
    };
    validate::check(&block, &mut diagnostics);
    overlap::check(&block.handlers, &mut diagnostics);
    let item = &block.item;
    let dispatcher =
        if diagnostics.is_empty() { expand::expand(&block) } else { fallback::expand(&block, &diagnostics) };
    quote!(#item #dispatcher)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::attribute;
    use crate::snapshot::{assert_hygienic, assert_no_identifier, assert_snapshot};

    #[test]
    fn a_block_becomes_routes() {
        let expansion = attribute(
            quote!(source = "accounts", retry(max_attempts = 8, max = "1m"), timeout = "10s"),
            quote! {
                impl Leaderboards {
                    /// Keeps the names
                    ///   in step.
                    #[on("accounts.UserUpdated", version = ">=1.2.3, <3")]
                    async fn on_user_updated(&self, event: UserUpdated, message: Message) -> Answer {
                        self.rename(event).await
                    }

                    #[tidings::on("accounts.UserUpdated", version = "^3", retry(max_attempts = 2), on_exhausted = "stop")]
                    async fn on_user_updated_v3(&self, UserUpdatedV3 { id, .. }: UserUpdatedV3) {}

                    async fn rename(&self, event: UserUpdated) -> Result<()> { Ok(()) }
                }
            },
        );
        assert_hygienic(&expansion);
        assert_snapshot("dispatcher", expansion);
    }

    #[test]
    fn a_handler_of_batches_is_given_many_events_and_the_blocks_options_are_said_once() {
        let expansion = attribute(
            quote!(
                source = "accounts",
                order = "partition",
                concurrency = 8,
                rate = 100,
                max_waiting = 1000,
                breaker(keys = 20, pause = "5s", max_pause = "1m"),
            ),
            quote! {
                impl<E: Payload> Leaderboards<E> {
                    #[on("accounts.UserUpdated", batch(max = 100, wait = "50ms"), order = "unordered")]
                    async fn on_users_updated(
                        &self,
                        events: Renamed,
                        messages: ::std::vec::Vec<Message>,
                        #[cfg(unix)] store: State<Store>,
                    ) -> Answers {}

                    #[on("accounts.UserDeleted", batch(wait = "1s", max = 1), order = "key", on_exhausted = "park_key")]
                    async fn on_users_deleted(&self, events: ::std::vec::Vec<E>) {}
                }
            },
        );
        assert_hygienic(&expansion);
        assert_snapshot("dispatcher_batch", expansion);
    }

    #[test]
    fn a_generic_block_with_a_renamed_crate_and_cfg_keeps_all_three() {
        let expansion = attribute(
            quote!(source = "accounts", name = "boards", crate = events::re_export),
            quote! {
                impl<S: Store, const N: usize> crate::boards::Leaderboards<S, N> where S: Shared + 'static {
                    #[cfg(feature = "deletion")]
                    #[cfg_attr(test, cfg(unix), allow(unused))]
                    #[cfg_attr(test, inline)]
                    #[on("accounts.UserDeleted")]
                    async fn on_user_deleted(&self, event: Deleted<S>, #[cfg(unix)] store: State<S>) -> impl IntoOutcome {}
                }
            },
        );
        assert_no_identifier(&expansion, "tidings");
        assert_hygienic(&expansion);
        assert_snapshot("dispatcher_generic", expansion);
    }

    #[test]
    fn a_faulty_block_comes_out_again_with_every_error_and_a_stub() {
        let expansion = attribute(
            quote!(source = "no spaces", retrys(max_attempts = 8)),
            quote! {
                impl Leaderboards {
                    #[on("UserUpdated", version = "one")]
                    fn on_user_updated(&mut self) {}
                    fn helper(&self) {}
                }
            },
        );
        assert_hygienic(&expansion);
        assert_snapshot("dispatcher_fallback", expansion);
    }
}
