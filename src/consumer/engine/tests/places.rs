//! Places go to who waits longest.

use futures_util::FutureExt as _;

use crate::consumer::places::Places;

#[tokio::test]
async fn a_place_that_is_left_goes_to_who_waits_longest_and_not_to_the_poll_thread() {
    let mut places = Places::new(1);
    let held = places.take().unwrap();
    assert!(!places.has_one() && places.are_taken());
    let mut first = Box::pin(places.shared().wait().place());
    let mut second = Box::pin(places.shared().wait().place());
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    drop(held);
    assert!(!places.has_one());
    let held = first.as_mut().now_or_never().unwrap();
    assert!(second.as_mut().now_or_never().is_none());
    drop(held);
    assert!(second.now_or_never().is_some());
    assert!(places.has_one() && !places.are_taken());
}

#[test]
fn what_the_poll_thread_holds_ready_counts_as_free_and_is_anybodys_when_it_is_given_back() {
    let mut places = Places::new(2);
    assert!(places.has_one());
    assert_eq!(places.in_use(), 0);
    let place = places.take();
    assert_eq!((place.is_some(), places.in_use()), (true, 1));
    assert!(places.has_one());
    let mut waiter = Box::pin(places.shared().wait().place());
    assert!(waiter.as_mut().now_or_never().is_none());
    places.give_back();
    assert!(waiter.now_or_never().is_some());
}

#[tokio::test]
async fn who_stops_waiting_is_counted_no_more() {
    let mut places = Places::new(1);
    let _held = places.take();
    let waiter = places.shared().wait();
    assert!(places.are_waited_for() && !places.shared().are_hardly_waited_for());
    drop(waiter.place());
    assert!(!places.are_waited_for() && places.shared().are_hardly_waited_for());
}
