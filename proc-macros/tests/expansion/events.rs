///The namespace `every`.
pub mod every {
    ///The record `every.Another`.
    #[derive(
        ::core::fmt::Debug,
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::tidings::__private::serde::Serialize,
        ::tidings::__private::serde::Deserialize,
        ::tidings::Event
    )]
    #[serde(crate = "::tidings::__private::serde", rename = "Another")]
    #[event(
        name = "every.Another",
        version = "2.0.0",
        schema = "$WORKSPACE/tests/schemas/every/Another.avsc",
        crate = ::tidings
    )]
    #[allow(
        non_camel_case_types,
        clippy::derive_partial_eq_without_eq,
        reason = "named and made as the schema says"
    )]
    pub struct Another {
        ///The field `name`.
        #[event(key)]
        pub name: ::std::string::String,
        ///The field `tier`.
        pub tier: super::every::common::Tier,
    }
    ///The namespace `common`.
    pub mod common {
        ///How much one pays.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::marker::Copy,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            ::core::hash::Hash,
            ::core::default::Default,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Tier")]
        #[allow(non_camel_case_types, reason = "named as the schema says")]
        pub enum Tier {
            ///`UNKNOWN`.
            #[default]
            #[serde(rename = "UNKNOWN")]
            Unknown,
            ///`GOLD_PLUS`.
            #[serde(rename = "GOLD_PLUS")]
            GoldPlus,
            ///`free`.
            #[serde(rename = "free")]
            Free,
        }
    }
    ///The namespace `kind`.
    pub mod kind {
        ///Where one lives.
        #[derive(
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Address")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub struct Address {
            ///The field `city`.
            pub city: ::std::string::String,
            ///The field `tier`.
            pub tier: super::super::every::common::Tier,
        }
        impl ::core::fmt::Debug for Address {
            fn fmt(
                &self,
                formatter: &mut ::core::fmt::Formatter<'_>,
            ) -> ::core::fmt::Result {
                formatter
                    .debug_struct("Address")
                    .field("city", &::core::format_args!("***"))
                    .field("tier", &self.tier)
                    .finish()
            }
        }
        ///The record `every.kind.Link`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Link")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub struct Link {
            ///The field `next`.
            pub next: ::core::option::Option<::std::boxed::Box<self::Link>>,
            ///The field `level`.
            pub level: ::core::primitive::i32,
        }
        ///Has a field of every kind.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize,
            ::tidings::Event
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Everything")]
        #[event(
            name = "every.kind.Everything",
            version = "1.0.0",
            schema = "$WORKSPACE/tests/schemas/every/Everything.avsc",
            entity = "Thing",
            crate = ::tidings
        )]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub struct Everything {
            ///The key.
            #[event(key)]
            #[serde(rename = "userId")]
            pub user_id: ::core::primitive::i64,
            ///The field `thing`.
            #[event(entity_id)]
            pub thing: ::tidings::__private::Uuid,
            ///The field `type`.
            pub r#type: ::std::string::String,
            ///The field `flag`.
            pub flag: ::core::primitive::bool,
            ///The field `small`.
            pub small: ::core::primitive::i32,
            ///The field `single`.
            pub single: ::core::primitive::f32,
            ///The field `double`.
            pub double: ::core::primitive::f64,
            ///The field `raw`.
            pub raw: ::tidings::payload::Bytes,
            ///The field `digest`.
            pub digest: ::tidings::payload::FixedBytes<4usize>,
            ///The field `price`.
            pub price: ::tidings::payload::Decimal<2u32>,
            ///The field `day`.
            pub day: ::tidings::payload::Date,
            ///The field `at`.
            pub at: ::tidings::payload::Timestamp,
            ///The field `wallClock`.
            #[serde(rename = "wallClock")]
            pub wall_clock: ::tidings::payload::LocalTimestamp,
            ///The field `tier`.
            pub tier: super::super::every::common::Tier,
            ///The field `home`.
            pub home: self::Address,
            ///The field `others`.
            pub others: ::std::vec::Vec<self::Address>,
            ///The field `counts`.
            pub counts: ::std::collections::HashMap<
                ::std::string::String,
                ::core::option::Option<::core::primitive::i64>,
            >,
            ///The field `motto`.
            pub motto: ::core::option::Option<::std::string::String>,
            ///The field `seen`.
            pub seen: ::core::option::Option<::tidings::payload::Timestamp>,
            ///The field `chain`.
            pub chain: ::core::option::Option<self::Link>,
        }
    }
}
