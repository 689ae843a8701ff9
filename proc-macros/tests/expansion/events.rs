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
    ///The namespace `choice`.
    pub mod choice {
        ///The record `every.choice.Phone`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Phone")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub struct Phone {
            ///The field `number`.
            pub number: ::std::string::String,
        }
        ///The enum `every.choice.Suit`.
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
        #[serde(crate = "::tidings::__private::serde", rename = "Suit")]
        #[allow(non_camel_case_types, reason = "named as the schema says")]
        pub enum Suit {
            ///`NONE`.
            #[default]
            #[serde(rename = "NONE")]
            None,
            ///`HEARTS`.
            #[serde(rename = "HEARTS")]
            Hearts,
            ///`SPADES`.
            #[serde(rename = "SPADES")]
            Spades,
        }
        ///One of the types of the field `contact` of `every.choice.Chosen`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "ChosenContact")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub enum ChosenContact {
            ///`string`.
            #[serde(rename = "string")]
            String(::std::string::String),
            ///`every.choice.Phone`.
            #[serde(rename = "every.choice.Phone")]
            EveryChoicePhone(self::Phone),
            ///`every.postal.Phone`.
            #[serde(rename = "every.postal.Phone")]
            EveryPostalPhone(super::super::every::postal::Phone),
        }
        ///One of the types of the field `value` of `every.choice.Chosen`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "ChosenValueArray")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub enum ChosenValueArray {
            ///`string`.
            #[serde(rename = "string")]
            String(::std::string::String),
            ///`long`.
            #[serde(rename = "long")]
            Long(::core::primitive::i64),
        }
        ///One of the types of the field `value` of `every.choice.Chosen`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "ChosenValueMap")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub enum ChosenValueMap {
            ///`int`.
            #[serde(rename = "int")]
            Int(::core::primitive::i32),
            ///`every.choice.Chosen`.
            #[serde(rename = "every.choice.Chosen")]
            Chosen(::std::boxed::Box<self::Chosen>),
        }
        ///One of the types of the field `value` of `every.choice.Chosen`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "ChosenValue")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub enum ChosenValue {
            ///`boolean`.
            #[serde(rename = "boolean")]
            Boolean(::core::primitive::bool),
            ///`int`.
            #[serde(rename = "int")]
            Int(::core::primitive::i32),
            ///`long`.
            #[serde(rename = "long")]
            Long(::core::primitive::i64),
            ///`float`.
            #[serde(rename = "float")]
            Float(::core::primitive::f32),
            ///`double`.
            #[serde(rename = "double")]
            Double(::core::primitive::f64),
            ///`bytes`.
            #[serde(rename = "bytes")]
            Bytes(::tidings::payload::Bytes),
            ///`string`.
            #[serde(rename = "string")]
            String(::tidings::__private::Uuid),
            ///`every.choice.Mark`.
            #[serde(rename = "every.choice.Mark")]
            Mark(::tidings::payload::FixedBytes<3usize>),
            ///`every.choice.Suit`.
            #[serde(rename = "every.choice.Suit")]
            Suit(self::Suit),
            ///`array`.
            #[serde(rename = "array")]
            Array(::std::vec::Vec<self::ChosenValueArray>),
            ///`map`.
            #[serde(rename = "map")]
            Map(
                ::std::collections::HashMap<
                    ::std::string::String,
                    ::core::option::Option<self::ChosenValueMap>,
                >,
            ),
        }
        ///Has unions of several types, and decimals of a fixed size.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize,
            ::tidings::Event
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Chosen")]
        #[event(
            name = "every.choice.Chosen",
            version = "1.0.0",
            schema = "$WORKSPACE/tests/schemas/every/Chosen.avsc",
            crate = ::tidings
        )]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub struct Chosen {
            ///The field `id`.
            #[event(key)]
            pub id: ::core::primitive::i64,
            ///The field `amount`.
            pub amount: ::tidings::payload::Decimal<2u32>,
            ///The field `refund`.
            pub refund: ::core::option::Option<::tidings::payload::Decimal<2u32>>,
            ///The field `contact`.
            pub contact: self::ChosenContact,
            ///The field `value`.
            pub value: ::core::option::Option<self::ChosenValue>,
        }
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
            debug = "own",
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
    ///The namespace `postal`.
    pub mod postal {
        ///The record `every.postal.Phone`.
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::tidings::__private::serde::Serialize,
            ::tidings::__private::serde::Deserialize
        )]
        #[serde(crate = "::tidings::__private::serde", rename = "Phone")]
        #[allow(
            non_camel_case_types,
            clippy::derive_partial_eq_without_eq,
            reason = "named and made as the schema says"
        )]
        pub struct Phone {
            ///The field `box`.
            pub r#box: ::core::primitive::i32,
        }
    }
}
