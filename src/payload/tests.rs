//! Types that `events!` writes, through the codec.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate};
use uuid::Uuid;

use super::Decimal;
use crate::Event;
use crate::schema::Codec;

mod generated {
    tidings_macros::events!("tests/schemas/every", crate = crate);
}

use generated::every::common::Tier;
use generated::every::kind::{Address, Everything, Link};

fn everything() -> Everything {
    let address = |city: &str, tier| Address { city: city.to_owned(), tier };
    let at = DateTime::from_timestamp_micros(1_769_850_000_000_001).unwrap();
    Everything {
        user_id: i64::MIN,
        thing: Uuid::from_u128(7),
        r#type: "Łódź".to_owned(),
        flag: true,
        small: -3,
        single: 0.5,
        double: -1e300,
        raw: vec![0, 255].into(),
        digest: [1, 2, 3, 4].into(),
        price: Decimal::new(-1_990),
        day: NaiveDate::from_ymd_opt(2026, 1, 31).unwrap().into(),
        at: at.into(),
        wall_clock: at.naive_utc().into(),
        tier: Tier::GoldPlus,
        home: address("Zoë's", Tier::Unknown),
        others: vec![address("a", Tier::Free), address("b", Tier::GoldPlus)],
        counts: HashMap::from([("none".to_owned(), None), ("some".to_owned(), Some(5))]),
        motto: None,
        seen: Some(at.into()),
        chain: Some(Link { next: Some(Box::new(Link { next: None, level: 2 })), level: 1 }),
    }
}

#[tokio::test]
async fn every_kind_of_field_comes_back_as_it_was() {
    let codec = Codec::local();
    let event = everything();
    let framed = codec.frame("every", codec.encode(&event).unwrap()).await.unwrap();
    assert_eq!(codec.decode::<Everything>(Some(&framed.bytes)).await.unwrap(), event);
    let json = codec.decode_json(Some(&framed.bytes)).await.unwrap().value;
    assert_eq!((&json["wallClock"], &json["tier"]), (&1_769_850_000_000_001_i64.into(), &"GOLD_PLUS".into()));
    assert_eq!(json["type"], "Łódź");
}

#[test]
fn an_event_says_of_itself_what_its_schema_says() {
    let event = everything();
    assert_eq!((Everything::NAME, Everything::VERSION), ("every.kind.Everything", "1.0.0"));
    assert_eq!(
        (event.key(), event.stream().as_str().to_owned()),
        (i64::MIN.to_string().into(), format!("Thing/{}", Uuid::from_u128(7)))
    );
    assert_eq!(Tier::default(), Tier::Unknown);
}

#[test]
fn what_is_sensitive_is_not_shown() {
    let shown = format!("{:?}", everything());
    assert!(shown.contains("city: ***") && !shown.contains("Zoë"), "{shown}");
}
