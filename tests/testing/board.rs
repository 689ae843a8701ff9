//! A service and the tests its team writes. They run in memory, and unchanged on real brokers: `crate::kit` says which.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidings::consumer::{Consumer, ConsumerBuilder, ConsumerOptions};
use tidings::prelude::*;
use tidings::publisher::Publisher;

/// A player's name changed.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "players.PlayerRenamed", version = "1.0.0", entity = "Player")]
#[event(schema_inline = r#"{"type": "record", "name": "PlayerRenamed", "namespace": "players", "fields": [
    {"name": "player", "type": "long"}, {"name": "nickname", "type": "string"}]}"#)]
pub(crate) struct PlayerRenamed {
    #[event(key)]
    pub(crate) player: i64,
    pub(crate) nickname: String,
}

/// A board shows a player under another name.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "boards.BoardChanged", version = "1.0.0", entity = "Board")]
#[event(schema_inline = r#"{"type": "record", "name": "BoardChanged", "namespace": "boards", "fields": [
    {"name": "player", "type": "long"}, {"name": "shown", "type": "string"}]}"#)]
pub(crate) struct BoardChanged {
    #[event(key)]
    player: i64,
    shown: String,
}

pub(crate) fn renamed(player: i64, nickname: &str) -> PlayerRenamed {
    PlayerRenamed { player, nickname: nickname.to_owned() }
}

/// Names in the order they were shown.
pub(crate) type Shown = Arc<Mutex<Vec<(i64, String)>>>;

/// Shows players' names.
#[derive(Clone, Default)]
pub(crate) struct Board {
    pub(crate) shown: Shown,
    publisher: Option<Publisher>,
}

#[dispatcher(source = "players", retry(max_attempts = 3, initial = "1s", max = "1s"))]
impl Board {
    #[on("players.PlayerRenamed")]
    async fn on_renamed(&self, event: PlayerRenamed, message: Message) -> Result<Outcome> {
        match &*event.nickname {
            "" => return Err(HandlerError::from("a nickname is never empty").terminal()),
            "later" if message.attempt() == 1 => {
                return Ok(Outcome::retry_after(Duration::from_secs(300), "not before five minutes have passed"));
            }
            "never" => return Err("the board is full".into()),
            _ => {}
        }
        if let Some(publisher) = &self.publisher {
            publisher.publish(&BoardChanged { player: event.player, shown: event.nickname.clone() }).await?;
        }
        self.shown.lock().push((event.player, event.nickname));
        Ok(Outcome::Done)
    }
}

pub(crate) fn consumer(board: Board) -> ConsumerBuilder {
    Consumer::builder(ConsumerOptions::new("boards")).dispatch(board)
}

#[tokio::test]
async fn a_new_name_is_shown_once() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    let event = renamed(42, "Ada");
    let published = kit.publish(&event).await;
    kit.assert_handled_once(&event).await;
    kit.assert_handled_once(&published).await;
    kit.assert_handled_once(&published.id()).await;
    assert_eq!(*board.shown.lock(), [(42, "Ada".to_owned())]);
    let handled = kit.handled();
    let [handled] = &handled[..] else { panic!("{handled:?}") };
    assert_eq!((handled.handler, &*handled.key, &*handled.topic), ("Board::on_renamed", "42", "players"));
    assert_eq!((handled.id.clone(), &*handled.group), (published.id().to_string(), "boards.Board"));
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_and_holds_its_player_only() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    kit.fail_next("on_renamed", "the database is away");
    let held = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_not_handled(&held).await;
    let behind = kit.publish(&renamed(1, "Grace")).await;
    let other = kit.publish(&renamed(2, "Edsger")).await;
    kit.assert_handled_once(&other).await;
    kit.assert_not_handled(&behind).await;
    kit.advance(Duration::from_secs(1)).await;
    kit.assert_handled_once(&held).await;
    kit.assert_handled_once(&behind).await;
    kit.assert_in_order().await;
    let players: Vec<_> = board.shown.lock().iter().map(|(player, _)| *player).collect();
    assert_eq!(players, [2, 1, 1]);
}

#[tokio::test]
async fn a_name_that_cannot_be_shown_becomes_a_dead_letter() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    let empty = kit.publish(&renamed(1, "")).await;
    let full = kit.publish(&renamed(2, "never")).await;
    kit.assert_dead_lettered(&empty).await;
    kit.assert_dead_lettered(&full).await;
    let letters = kit.dead_letters();
    let of = |published: &tidings::testing::Published| {
        let id = published.id().to_string();
        letters.iter().find(|letter| letter.id() == Some(&id)).unwrap()
    };
    assert_eq!((of(&empty).class(), of(&empty).attempts()), ("terminal", 1));
    assert_eq!((of(&full).error(), of(&full).attempts()), ("the board is full", 3));
    assert_eq!(of(&full).handler(), Some("Board::on_renamed"));
    assert!(board.shown.lock().is_empty());
}

#[tokio::test]
async fn an_event_that_asks_to_come_later_comes_later() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    let event = kit.publish(&renamed(1, "later")).await;
    kit.assert_not_handled(&event).await;
    kit.advance(Duration::from_secs(299)).await;
    kit.assert_not_handled(&event).await;
    kit.advance(Duration::from_secs(1)).await;
    kit.assert_handled_once(&event).await;
    assert_eq!(board.shown.lock().len(), 1);
}

#[tokio::test]
async fn what_a_handler_publishes_names_its_cause() {
    let kit = crate::kit();
    let board = Board { publisher: Some(kit.publisher("boards").await), ..Board::default() };
    kit.start(consumer(board)).await;
    let cause = kit.publish(&renamed(1, "Ada")).await;
    // On a busy broker a handler may take longer than the kit waits of itself.
    kit.assert_handled_once(&cause).await;
    let changed = BoardChanged { player: 1, shown: "Ada".to_owned() };
    assert_eq!(kit.published::<BoardChanged>().await, [changed]);
}

#[tokio::test]
async fn a_member_that_joins_takes_its_share_and_nothing_is_done_twice() {
    let (kit, board) = (crate::kit(), Board::default());
    let first = kit.start(consumer(board.clone())).await;
    let mut events = Vec::new();
    for player in 0..20 {
        events.push(kit.publish(&renamed(player, "Ada")).await);
    }
    kit.rebalanced().await;
    let second = kit.member().await;
    kit.rebalanced().await;
    assert_eq!((first.partitions().len(), second.partitions().len()), (2, 2));
    for player in 0..20 {
        events.push(kit.publish(&renamed(player, "Grace")).await);
    }
    for event in &events {
        kit.assert_handled_once(event).await;
    }
    kit.assert_in_order().await;
    second.leave().await;
    kit.rebalanced().await;
    assert_eq!((first.partitions().len(), second.partitions().len()), (4, 0));
    assert_eq!(board.shown.lock().len(), 40);
}

#[tokio::test]
async fn after_a_crash_only_what_was_not_committed_is_done_again() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    // Another name of player 1 waits for five minutes; what is done behind it travels with the commit.
    let held = kit.publish(&renamed(1, "later")).await;
    let committed = kit.publish(&renamed(2, "Ada")).await;
    kit.assert_handled_once(&committed).await;
    kit.advance(Duration::from_secs(1)).await;
    let uncommitted = kit.publish(&renamed(2, "Grace")).await;
    kit.crash_before_commit().await;
    kit.assert_handled(&uncommitted, 2).await;
    kit.assert_handled_once(&committed).await;
    kit.assert_not_handled(&held).await;
    kit.assert_handled_once(&held).await;
    kit.assert_in_order().await;
}

#[tokio::test]
async fn a_record_can_be_delivered_again_alone() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    let first = kit.publish(&renamed(1, "Ada")).await;
    let second = kit.publish(&renamed(1, "Grace")).await;
    kit.assert_handled_once(&second).await;
    kit.redeliver(&first).await;
    kit.assert_handled(&first, 2).await;
    kit.assert_handled_once(&second).await;
    let names: Vec<_> = board.shown.lock().iter().map(|(_, name)| name.clone()).collect();
    assert_eq!(names, ["Ada", "Grace", "Ada"]);
}
