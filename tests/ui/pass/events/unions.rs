//! A union of several types is an enum, and null or several an `Option` of one; a decimal of a fixed size is a decimal.
#![deny(missing_docs, missing_debug_implementations)]
#![allow(dead_code)]

/// The events of the shop.
pub mod events {
    struct Option;
    struct String;
    struct Vec;

    tidings::events!("schemas/shop");
}

use events::shop::{Card, Paid, PaidMeans, PaidMeansArray};
use tidings::payload::Decimal;
use tidings::schema::Codec;

fn main() {
    let total = Decimal::<2>::new(1990);
    let each = [
        None,
        Some(PaidMeans::String("cash".to_owned())),
        Some(PaidMeans::Card(Card { number: "4111".to_owned() })),
        Some(PaidMeans::Array(vec![PaidMeansArray::Total(total), PaidMeansArray::Long(-1)])),
    ];
    for means in each {
        let paid = Paid { customer_id: 42, total, means };
        assert!(Codec::local().encode(&paid).is_ok(), "{paid:?}");
        assert!(!format!("{paid:?}").contains("4111"));
    }
}
