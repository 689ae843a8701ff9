//! Reads events of older versions as the type of today.
//!
//! A handler takes one type. Where older versions are still on the topic that this type cannot read, an [`Upcast`] makes the one
//! from the other: a pure function from the type of version *n* to that of *n + 1*. They are chained, so each version is written once.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tidings::prelude::*;
//! use tidings::upcast::Upcast;
//!
//! #[derive(Event, Serialize, Deserialize)]
//! #[event(name = "accounts.Renamed", version = "1.4.0", schema_inline = r#"{"type": "record", "name": "Renamed",
//!     "namespace": "accounts", "fields": [{"name": "user_id", "type": "long"}, {"name": "name", "type": "string"}]}"#)]
//! #[serde(rename = "Renamed")]
//! struct RenamedV1 {
//!     #[event(key)]
//!     user_id: i64,
//!     name: String,
//! }
//!
//! #[derive(Event, Serialize, Deserialize)]
//! #[event(name = "accounts.Renamed", version = "2.0.0", upcast_from = RenamedV1)]
//! #[event(schema_inline = r#"{"type": "record", "name": "Renamed", "namespace": "accounts", "fields": [
//!     {"name": "user_id", "type": "long"}, {"name": "first", "type": "string"}, {"name": "last", "type": "string"}]}"#)]
//! struct Renamed {
//!     #[event(key)]
//!     user_id: i64,
//!     first: String,
//!     last: String,
//! }
//!
//! impl Upcast<RenamedV1> for Renamed {
//!     fn upcast(older: RenamedV1) -> Self {
//!         let (first, last) = older.name.split_once(' ').unwrap_or((&older.name, ""));
//!         Self { user_id: older.user_id, first: first.to_owned(), last: last.to_owned() }
//!     }
//! }
//!
//! struct Boards;
//!
//! #[dispatcher(source = "accounts")]
//! impl Boards {
//!     /// Takes versions 1 and 2, all as the type of version 2.
//!     #[on("accounts.Renamed", version = "<3")]
//!     async fn on_renamed(&self, event: Renamed) {}
//! }
//! ```

use std::fmt;

use futures_util::future::BoxFuture;
use semver::Version;

use crate::dispatch::PayloadInfo;
use crate::event::Event;
use crate::schema::{Codec, DecodeError};
use crate::transport::Record;

/// Makes an event of an older version into one of this version.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not made from `{Older}`",
    note = "write it: `impl tidings::upcast::Upcast<{Older}> for {Self} {{ fn upcast(older: {Older}) -> Self {{ … }} }}`"
)]
pub trait Upcast<Older> {
    /// The event as it would be in this version. Pure: it is called again whenever the event is delivered again.
    fn upcast(older: Older) -> Self;
}

/// How events of older versions become an `E`; `#[event(upcast_from = ..)]` says from which type.
pub struct Upcasts<E> {
    older: &'static PayloadInfo,
    read: Read<E>,
}

type Read<E> = for<'a> fn(&'a Codec, &'a Record, &'a Version) -> BoxFuture<'a, Result<E, DecodeError>>;

impl<E: Event> Upcasts<E> {
    /// From the events of `Older`, and from those it is made from.
    pub const fn from<Older: Event>() -> Self
    where
        E: Upcast<Older>,
    {
        Self { older: &InfoOf::<Older>::INFO, read: read::<E, Older> }
    }

    /// The older type.
    pub(crate) const fn older(&self) -> &'static PayloadInfo {
        self.older
    }

    /// Whether an event of `version` is one of the older type's: it is lower than the type's own and, where the two types
    /// differ in the major version, of a lower major version. Below 1.0.0 the minor version stands for the major one.
    fn takes(&self, version: &Version) -> bool {
        let (Ok(own), Ok(older)) = (E::VERSION.parse::<Version>(), self.older.version.parse::<Version>()) else {
            return false;
        };
        let line = |version: &Version| (version.major, if version.major == 0 { version.minor } else { 0 });
        if line(&own) == line(&older) { *version < own } else { line(version) < line(&own) }
    }
}

/// A constant of a type's own, to which there can be a reference that lasts.
struct InfoOf<E>(std::marker::PhantomData<E>);

impl<E: Event> InfoOf<E> {
    const INFO: PayloadInfo = PayloadInfo::of::<E>();
}

fn read<'a, E, Older>(
    codec: &'a Codec,
    record: &'a Record,
    version: &'a Version,
) -> BoxFuture<'a, Result<E, DecodeError>>
where
    E: Event + Upcast<Older>,
    Older: Event,
{
    Box::pin(async move { decode::<Older>(codec, record, Some(version)).await.map(E::upcast) })
}

/// Decode an event of `version`, by way of the type it was written for. Without a version it is read as it is.
pub(crate) async fn decode<E: Event>(
    codec: &Codec,
    record: &Record,
    version: Option<&Version>,
) -> Result<E, DecodeError> {
    if let (Some(upcasts), Some(version)) = (E::UPCASTS, version)
        && upcasts.takes(version)
    {
        return (upcasts.read)(codec, record, version).await;
    }
    codec.decode_record(record).await
}

impl<E> Clone for Upcasts<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Upcasts<E> {}

impl<E> fmt::Debug for Upcasts<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upcasts").field("older", &self.older.version).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::transport::Headers;

    /// An event whose number grows by a digit with each version.
    macro_rules! version {
        ($name:ident, $version:literal, $field:literal, $upcasts:expr) => {
            #[derive(Debug, Serialize, Deserialize, PartialEq)]
            struct $name {
                #[serde(rename = $field)]
                value: i64,
            }

            impl Event for $name {
                const NAME: &'static str = "tests.Counted";
                const VERSION: &'static str = $version;
                const SCHEMA: &'static str = concat!(
                    r#"{"type":"record","name":"Counted","namespace":"tests","fields":[{"name":""#,
                    $field,
                    r#"","type":"long"}]}"#
                );
                const ENTITY: &'static str = "Counter";
                const UPCASTS: Option<Upcasts<Self>> = $upcasts;

                fn key(&self) -> Cow<'_, str> {
                    "1".into()
                }
            }
        };
    }

    version!(V1, "1.2.0", "one", None);
    version!(V2, "2.0.0", "two", Some(Upcasts::from::<V1>()));
    version!(V3, "3.1.0", "three", Some(Upcasts::from::<V2>()));
    version!(V31, "3.2.0", "three_two", Some(Upcasts::from::<V3>()));

    macro_rules! appends {
        ($older:ident => $newer:ident, $digit:literal) => {
            impl Upcast<$older> for $newer {
                fn upcast(older: $older) -> Self {
                    Self { value: older.value * 10 + $digit }
                }
            }
        };
    }

    appends!(V1 => V2, 2);
    appends!(V2 => V3, 3);
    appends!(V3 => V31, 4);

    async fn framed<E: Event>(codec: &Codec, event: E) -> Record {
        let datum = codec.encode(&event).unwrap();
        Record {
            topic: "counters".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            payload: Some(codec.frame("counters", datum).await.unwrap().bytes),
            headers: Headers::default(),
        }
    }

    async fn read_as<E: Event>(codec: &Codec, record: &Record, version: Option<&str>) -> Result<E, DecodeError> {
        let version = version.map(|version| version.parse().unwrap());
        decode(codec, record, version.as_ref()).await
    }

    #[tokio::test]
    async fn an_old_event_goes_through_every_version_between() {
        let codec = Codec::local();
        let (one, two) = (framed(&codec, V1 { value: 1 }).await, framed(&codec, V2 { value: 5 }).await);
        assert_eq!(read_as::<V31>(&codec, &one, Some("1.0.0")).await.unwrap().value, 1_234);
        assert_eq!(read_as::<V31>(&codec, &two, Some("2.9.1")).await.unwrap().value, 534);
        assert_eq!(read_as::<V2>(&codec, &one, Some("1.2.0")).await.unwrap().value, 12);
    }

    #[tokio::test]
    async fn an_event_of_the_types_own_version_or_a_later_one_is_read_as_it_is() {
        let codec = Codec::local();
        let three = framed(&codec, V3 { value: 7 }).await;
        for version in [Some("3.0.0"), Some("3.9.0"), Some("4.0.0"), None] {
            assert_eq!(read_as::<V3>(&codec, &three, version).await.unwrap().value, 7, "{version:?}");
        }
        // Within a major version, what is below the type's own is the older type's.
        assert_eq!(read_as::<V31>(&codec, &three, Some("3.1.0")).await.unwrap().value, 74);
        let own = framed(&codec, V31 { value: 8 }).await;
        assert_eq!(read_as::<V31>(&codec, &own, Some("3.2.0")).await.unwrap().value, 8);
    }

    #[tokio::test]
    async fn an_event_that_is_not_what_its_version_says_is_an_error_of_the_older_type() {
        let codec = Codec::local();
        let three = framed(&codec, V3 { value: 7 }).await;
        let error = read_as::<V3>(&codec, &three, Some("1.0.0")).await.unwrap_err();
        assert!(matches!(error, DecodeError::Incompatible { .. }), "{error:?}");
    }

    #[test]
    fn every_older_type_is_known_from_the_newest() {
        let mut next = PayloadInfo::of::<V31>().older;
        let mut versions = Vec::new();
        while let Some(info) = next {
            versions.push(info.version);
            next = info.older;
        }
        assert_eq!(versions, ["3.1.0", "2.0.0", "1.2.0"]);
    }
}
