impl Leaderboards {
    #[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]
    /// Keeps the names
    ///   in step.
    async fn on_user_updated(&self, event: UserUpdated, message: Message) -> Answer {
        self.rename(event).await
    }
    #[allow(clippy::unused_async, clippy::unused_self, clippy::needless_pass_by_value)]
    async fn on_user_updated_v3(&self, UserUpdatedV3 { id, .. }: UserUpdatedV3) {}
    async fn rename(&self, event: UserUpdated) -> Result<()> {
        Ok(())
    }
}
#[automatically_derived]
impl ::tidings::Dispatcher for Leaderboards {
    const SOURCE: &'static ::core::primitive::str = "accounts";
    const NAME: &'static ::core::primitive::str = "Leaderboards";
    fn routes() -> ::tidings::dispatch::Routes<Self> {
        const __BLOCK: ::tidings::dispatch::Policy = ::tidings::dispatch::Policy::INHERIT
            .max_attempts(8u32)
            .max(::core::time::Duration::new(60u64, 0u32))
            .timeout(::core::time::Duration::new(10u64, 0u32));
        ::tidings::dispatch::Routes::from([
            {
                const _: () = {
                    #[allow(unused_imports)]
                    use ::tidings::__private::AnyName as _;
                    ::tidings::__private::assert_payload(
                        ::tidings::__private::NameOf::<UserUpdated>::NAME,
                        "accounts.UserUpdated",
                        "on_user_updated",
                    )
                };
                ::tidings::dispatch::Route {
                    info: ::tidings::__private::route_info::<
                        UserUpdated,
                    >(
                        "accounts.UserUpdated",
                        ::tidings::__private::versions(">=1.2.3, <3"),
                        "on_user_updated",
                        "Keeps the names\n  in step.",
                        ::tidings::dispatch::Policy::INHERIT,
                        __BLOCK,
                        &[<Message as ::tidings::FromDelivery>::USES_TRANSACTION],
                    ),
                    handle: ::tidings::dispatch::RouteHandle::Single(|
                        __this,
                        __delivery|
                    ::std::boxed::Box::pin(async move {
                        let __payload = match ::tidings::__private::decode::<
                            UserUpdated,
                        >(&__delivery)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return ::tidings::Outcome::from(__error);
                            }
                        };
                        let __argument_0 = match <Message as ::tidings::FromDelivery>::from_delivery(
                                &__delivery,
                            )
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return ::tidings::Outcome::from(__error);
                            }
                        };
                        <Answer as ::tidings::IntoOutcome>::into_outcome(
                            Self::on_user_updated(&__this, __payload, __argument_0).await,
                        )
                    })),
                }
            },
            {
                const _: () = {
                    #[allow(unused_imports)]
                    use ::tidings::__private::AnyName as _;
                    ::tidings::__private::assert_payload(
                        ::tidings::__private::NameOf::<UserUpdatedV3>::NAME,
                        "accounts.UserUpdated",
                        "on_user_updated_v3",
                    )
                };
                ::tidings::dispatch::Route {
                    info: ::tidings::__private::route_info::<
                        UserUpdatedV3,
                    >(
                        "accounts.UserUpdated",
                        ::tidings::__private::versions("^3"),
                        "on_user_updated_v3",
                        "",
                        ::tidings::dispatch::Policy::INHERIT
                            .max_attempts(2u32)
                            .on_exhausted(::tidings::dispatch::OnExhausted::Stop),
                        __BLOCK,
                        &[],
                    ),
                    handle: ::tidings::dispatch::RouteHandle::Single(|
                        __this,
                        __delivery|
                    ::std::boxed::Box::pin(async move {
                        let __payload = match ::tidings::__private::decode::<
                            UserUpdatedV3,
                        >(&__delivery)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__error) => {
                                return ::tidings::Outcome::from(__error);
                            }
                        };
                        ::tidings::IntoOutcome::into_outcome(
                            Self::on_user_updated_v3(&__this, __payload).await,
                        )
                    })),
                }
            },
        ])
    }
}
