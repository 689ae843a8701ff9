//! Types from schemas: no documentation is missing, nothing of the prelude is captured, and what is secret is not shown.
#![deny(missing_docs, missing_debug_implementations)]
#![allow(dead_code)]

/// The events of the shop.
pub mod events {
    struct Option;
    struct String;
    struct Result;

    tidings::events!("schemas/shop");
}

use events::shop::{OrderPlaced, Status};
use tidings::Event;

fn main() {
    let order = OrderPlaced {
        customer_id: 42,
        order_id: "o-1".to_owned(),
        status: Status::Paid,
        total: tidings::payload::Decimal::new(1990),
        note: Some("ring twice".to_owned()),
    };
    assert_eq!((OrderPlaced::NAME, OrderPlaced::VERSION, OrderPlaced::ENTITY), ("shop.OrderPlaced", "1.2.0", "Order"));
    assert_eq!((order.key().as_ref(), order.stream().as_str()), ("42", "Order/o-1"));
    assert_eq!(Status::default(), Status::Unknown);
    let shown = format!("{order:?}");
    assert!(shown.contains("note: ***") && !shown.contains("ring"), "{shown}");
}
