impl<S: Store, const N: usize> crate::boards::Leaderboards<S, N>
where
    S: Shared + 'static,
{
    #[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]
    #[cfg(feature = "deletion")]
    #[cfg_attr(test, cfg(unix), allow(unused))]
    #[cfg_attr(test, inline)]
    async fn on_user_deleted(
        &self,
        event: Deleted<S>,
        #[cfg(unix)]
        store: State<S>,
    ) -> impl IntoOutcome {}
}
#[automatically_derived]
impl<S: Store, const N: usize> events::re_export::Dispatcher
for crate::boards::Leaderboards<S, N>
where
    S: Shared + 'static,
{
    const SOURCE: &'static ::core::primitive::str = "accounts";
    const NAME: &'static ::core::primitive::str = "boards";
    fn routes() -> events::re_export::dispatch::Routes<Self> {
        const __BLOCK: events::re_export::dispatch::Policy = events::re_export::dispatch::Policy::INHERIT;
        events::re_export::dispatch::Routes::from([
            #[cfg(feature = "deletion")]
            #[cfg_attr(test, cfg(unix))]
            {
                const {
                    events::re_export::__private::assert_payload(
                        <Deleted<S> as events::re_export::Event>::NAME,
                        "accounts.UserDeleted",
                        "on_user_deleted",
                    )
                };
                events::re_export::dispatch::Route {
                    info: events::re_export::__private::route_info::<
                        Deleted<S>,
                    >(
                        "accounts.UserDeleted",
                        events::re_export::dispatch::Versions::Any,
                        "on_user_deleted",
                        "",
                        events::re_export::dispatch::Policy::INHERIT,
                        __BLOCK,
                        &[
                            #[cfg(unix)]
                            <State<
                                S,
                            > as events::re_export::FromDelivery>::USES_TRANSACTION,
                        ],
                    ),
                    handle: events::re_export::dispatch::RouteHandle::Single(|
                        __this,
                        __delivery|
                    ::std::boxed::Box::pin(async move {
                        let __payload = match events::re_export::__private::decode::<
                            Deleted<S>,
                        >(&__delivery)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return events::re_export::Outcome::from(__error);
                            }
                        };
                        #[cfg(unix)]
                        let __argument_0 = match <State<
                            S,
                        > as events::re_export::FromDelivery>::from_delivery(&__delivery)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return events::re_export::Outcome::from(__error);
                            }
                        };
                        events::re_export::IntoOutcome::into_outcome(
                            Self::on_user_deleted(
                                    &__this,
                                    __payload,
                                    #[cfg(unix)]
                                    __argument_0,
                                )
                                .await,
                        )
                    })),
                }
            },
        ])
    }
}
