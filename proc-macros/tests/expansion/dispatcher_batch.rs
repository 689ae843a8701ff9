impl<E: Payload> Leaderboards<E> {
    #[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]
    async fn on_users_updated(
        &self,
        events: Renamed,
        messages: ::std::vec::Vec<Message>,
        #[cfg(unix)]
        store: State<Store>,
    ) -> Answers {}
    #[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]
    async fn on_users_deleted(&self, events: ::std::vec::Vec<E>) {}
}
#[automatically_derived]
impl<E: Payload> ::tidings::Dispatcher for Leaderboards<E> {
    const SOURCE: &'static ::core::primitive::str = "accounts";
    const NAME: &'static ::core::primitive::str = "Leaderboards";
    fn routes() -> ::tidings::dispatch::Routes<Self> {
        const __BLOCK: ::tidings::dispatch::Policy = ::tidings::dispatch::Policy::INHERIT
            .concurrency(8u32)
            .rate(100u32)
            .max_waiting(1000u32)
            .breaker_keys(20u32)
            .breaker_pause(::core::time::Duration::new(5u64, 0u32))
            .breaker_max_pause(::core::time::Duration::new(60u64, 0u32))
            .order(::tidings::dispatch::DeliveryOrder::Partition);
        ::tidings::dispatch::Routes::from([
            {
                const _: () = {
                    #[allow(unused_imports)]
                    use ::tidings::__private::AnyName as _;
                    ::tidings::__private::assert_payload(
                        ::tidings::__private::NameOfBatch::<Renamed>::NAME,
                        "accounts.UserUpdated",
                        "on_users_updated",
                    )
                };
                ::tidings::dispatch::Route {
                    info: ::tidings::__private::batch_route_info::<
                        Renamed,
                    >(
                        "accounts.UserUpdated",
                        ::tidings::dispatch::Versions::Any,
                        "on_users_updated",
                        "",
                        ::tidings::dispatch::Policy::INHERIT
                            .order(::tidings::dispatch::DeliveryOrder::Unordered),
                        __BLOCK,
                        &[
                            <::std::vec::Vec<
                                Message,
                            > as ::tidings::dispatch::FromDeliveries>::USES_TRANSACTION,
                            #[cfg(unix)]
                            <State<
                                Store,
                            > as ::tidings::dispatch::FromDeliveries>::USES_TRANSACTION,
                        ],
                        ::tidings::dispatch::BatchPolicy::new(
                            100u32,
                            ::core::time::Duration::new(0u64, 50000000u32),
                        ),
                    ),
                    handle: ::tidings::dispatch::RouteHandle::Batch(|__this, __delivery| ::std::boxed::Box::pin(async move {
                        let (__payload, __delivery, __places) = match ::tidings::__private::decode_batch::<
                            Renamed,
                        >(__delivery)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__outcomes) => return __outcomes,
                        };
                        let __argument_0 = match <::std::vec::Vec<
                            Message,
                        > as ::tidings::dispatch::FromDeliveries>::from_deliveries(
                                &__delivery,
                            )
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return __places.fail(__error);
                            }
                        };
                        #[cfg(unix)]
                        let __argument_1 = match <State<
                            Store,
                        > as ::tidings::dispatch::FromDeliveries>::from_deliveries(
                                &__delivery,
                            )
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return __places.fail(__error);
                            }
                        };
                        let __outcomes = <Answers as ::tidings::dispatch::IntoOutcomes>::into_outcomes(
                            Self::on_users_updated(
                                    &__this,
                                    __payload,
                                    __argument_0,
                                    #[cfg(unix)]
                                    __argument_1,
                                )
                                .await,
                            __places.events(),
                        );
                        __places.fill(__outcomes)
                    })),
                }
            },
            {
                const {
                    ::tidings::__private::assert_payload(
                        <<::std::vec::Vec<
                            E,
                        > as ::tidings::__private::Batch>::Event as ::tidings::Event>::NAME,
                        "accounts.UserDeleted",
                        "on_users_deleted",
                    )
                };
                ::tidings::dispatch::Route {
                    info: ::tidings::__private::batch_route_info::<
                        ::std::vec::Vec<E>,
                    >(
                        "accounts.UserDeleted",
                        ::tidings::dispatch::Versions::Any,
                        "on_users_deleted",
                        "",
                        ::tidings::dispatch::Policy::INHERIT
                            .on_exhausted(::tidings::dispatch::OnExhausted::ParkKey)
                            .order(::tidings::dispatch::DeliveryOrder::Key),
                        __BLOCK,
                        &[],
                        ::tidings::dispatch::BatchPolicy::new(
                            1u32,
                            ::core::time::Duration::new(1u64, 0u32),
                        ),
                    ),
                    handle: ::tidings::dispatch::RouteHandle::Batch(|__this, __delivery| ::std::boxed::Box::pin(async move {
                        let (__payload, __delivery, __places) = match ::tidings::__private::decode_batch::<
                            ::std::vec::Vec<E>,
                        >(__delivery)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__outcomes) => return __outcomes,
                        };
                        let __outcomes = ::tidings::dispatch::IntoOutcomes::into_outcomes(
                            Self::on_users_deleted(&__this, __payload).await,
                            __places.events(),
                        );
                        __places.fill(__outcomes)
                    })),
                }
            },
        ])
    }
}
