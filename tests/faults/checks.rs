//! The checks themselves: a loss, a repeat and a swap that are planted in a run make its checker fail, and nothing else does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::database::killed_under_handlers;
use crate::dead_letters::{Found, refused_for_a_while};
use crate::plant::Plant;
use crate::servers::Servers;
use crate::storm::{Size, Storm, Tally};
use crate::support::ledger::Audit;

/// Long enough for what is planted, and no longer.
const SIZE: Size = Size { players: 20, serials: 40, ..Size::SHORT };

/// What is found where `plant` is all that is wrong.
fn found(plant: Plant) -> Audit {
    match plant {
        Plant::Nothing | Plant::LostLetter => Audit::default(),
        Plant::Loss => Audit { lost: 1, ..Audit::default() },
        Plant::Repeat => Audit { repeated: 1, ..Audit::default() },
        Plant::Swap => Audit { out_of_order: 1, ..Audit::default() },
    }
}

/// A storm like the others: members join, and, if that is asked for, one is killed.
async fn storm(plant: Plant, kills: bool) -> Tally {
    let _alone = Servers::alone().await;
    let storm = Storm::planted(SIZE, plant).await;
    let mut members = vec![storm.member(), storm.member()];
    storm.progress(100).await;
    let joining = storm.member();
    if kills {
        members.swap_remove(0).kill();
    }
    Storm::partitions_of(&joining, 1);
    members.push(joining);
    storm.progress(100).await;
    storm.calm(&format!("a control with {} planted", plant.name()), 1, members).await
}

fn is_sound(tally: &Tally) -> bool {
    catch_unwind(AssertUnwindSafe(|| tally.assert_sound())).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_finds_what_is_planted_in_it_and_nothing_where_nothing_is() {
    for plant in [Plant::Nothing, Plant::Loss, Plant::Repeat, Plant::Swap] {
        let tally = storm(plant, false).await;
        assert_eq!(tally.audit, found(plant));
        assert_eq!(is_sound(&tally), matches!(plant, Plant::Nothing | Plant::Repeat), "repeats are counted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_with_kills_finds_a_loss_and_a_swap_among_its_repeats() {
    for plant in [Plant::Nothing, Plant::Loss, Plant::Swap] {
        let tally = storm(plant, true).await;
        // What the kill repeats is counted, and hides nothing.
        assert_eq!(Audit { repeated: 0, ..tally.audit }, found(plant));
        assert_eq!(is_sound(&tally), plant == Plant::Nothing);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_with_a_dead_letter_topic_that_refuses_finds_what_is_planted_in_it() {
    for plant in [Plant::Nothing, Plant::Loss, Plant::Repeat, Plant::Swap] {
        let Found { effects, letters } = refused_for_a_while(SIZE, plant).await;
        assert_eq!((effects, letters), (found(plant), Audit::default()));
    }
    let Found { effects, letters } = refused_for_a_while(SIZE, Plant::LostLetter).await;
    assert_eq!((effects, letters), (Audit::default(), found(Plant::Loss)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_with_handlers_in_transactions_finds_what_is_planted_in_it() {
    for plant in [Plant::Nothing, Plant::Loss, Plant::Repeat, Plant::Swap] {
        // Nothing is killed: other tests show that.
        assert_eq!(killed_under_handlers(Size { faults: 0, ..SIZE }, plant).await, found(plant));
    }
}
