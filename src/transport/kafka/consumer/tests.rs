//! What the engine relies on in librdkafka's hooks.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::*;
use crate::transport::kafka::{EmbeddedCluster, TopicSpec, topics};

const LONG: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(20);

/// A topic and a group of one test's own: on the brokers that `make test` starts, or else on brokers inside the process, which take
/// more time over a rebalance.
struct Scene {
    brokers: String,
    topic: Arc<str>,
    group: String,
    producer: BaseProducer,
    inside: Option<EmbeddedCluster>,
}

impl Scene {
    fn new(partitions: u32) -> Self {
        match std::env::var("TIDINGS_TEST_BROKERS") {
            Ok(brokers) => Self::at(brokers, None, partitions),
            Err(_) => Self::inside(partitions),
        }
    }

    fn inside(partitions: u32) -> Self {
        let cluster = EmbeddedCluster::start(1).unwrap();
        Self::at(cluster.brokers().to_owned(), Some(cluster), partitions)
    }

    fn at(brokers: String, inside: Option<EmbeddedCluster>, partitions: u32) -> Self {
        let id = uuid::Uuid::new_v4().simple();
        let topic = format!("hooks-{id}");
        match &inside {
            Some(cluster) => cluster.create_topic(&topic, partitions).unwrap(),
            None => {
                let spec = TopicSpec::new(&topic, partitions);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let _ = runtime.block_on(topics::ensure(&KafkaOptions::new(&brokers), &[spec], LONG)).unwrap();
            }
        }
        let producer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
        Self { brokers, topic: topic.into(), group: format!("hooks-{id}"), producer, inside }
    }

    fn write(&self, partition: i32, payloads: &[&str]) {
        for payload in payloads {
            let record = BaseRecord::<(), str>::to(&self.topic).partition(partition).payload(payload);
            assert!(self.producer.send(record).is_ok());
        }
        self.producer.flush(LONG).unwrap();
    }

    /// Real brokers give a member that says nothing so much time that nobody waits for its end in vain. The others let a rebalance
    /// wait for all but a second of it.
    fn member(&self) -> KafkaConsumer {
        self.member_with(if self.inside.is_some() { "6000" } else { "45000" }, &[])
    }

    fn member_with(&self, session_ms: &str, properties: &[(&str, &str)]) -> KafkaConsumer {
        let kafka = KafkaOptions::new(&self.brokers).property("heartbeat.interval.ms", "100");
        let kafka = kafka.property("session.timeout.ms", session_ms);
        let kafka = properties.iter().fold(kafka, |kafka, (name, value)| kafka.property(*name, *value));
        let mut member = KafkaConsumer::new(&kafka, &self.group, StartFrom::Earliest, 1024 * 1024).unwrap();
        member.subscribe(&[Arc::clone(&self.topic)]).unwrap();
        member
    }

    /// The payloads of the next `count` records, by way of the partition's own queue.
    fn read(&self, member: &mut KafkaConsumer, partition: i32, count: usize) -> Vec<String> {
        let partition = TopicPartition { topic: Arc::clone(&self.topic), partition };
        let (mut records, start) = (Vec::new(), Instant::now());
        while records.len() < count {
            assert!(start.elapsed() < SOON, "{} of {count} records came", records.len());
            assert!(!matches!(member.poll(), Some(GroupEvent::Failed(_))));
            assert!(member.fetch(&partition, 100, &mut records).is_ok());
            member.wait(Duration::from_millis(10));
        }
        assert_eq!(member.strays, 0, "records came by the main queue");
        let text = |record: Record| String::from_utf8(record.payload.unwrap().to_vec()).unwrap();
        records.into_iter().map(text).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.inside.is_none() {
            let admin: AdminClient<DefaultClientContext> =
                ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // Leftovers harm nobody.
            let _ = runtime.block_on(admin.delete_topics(&[&self.topic], &AdminOptions::new()));
        }
    }
}

/// Poll `members`, as their engines would, until the first one's next event about its partitions.
fn next_event(members: &mut [&mut KafkaConsumer]) -> GroupEvent {
    let start = Instant::now();
    while start.elapsed() < SOON {
        for (index, member) in members.iter_mut().enumerate() {
            match member.poll() {
                Some(event @ (GroupEvent::Assigned(_) | GroupEvent::Revoked(_) | GroupEvent::Lost(_)))
                    if index == 0 =>
                {
                    return event;
                }
                Some(event @ (GroupEvent::Assigned(_) | GroupEvent::Revoked(_) | GroupEvent::Lost(_))) => {
                    answer(member, event);
                }
                Some(GroupEvent::Failed(error)) => panic!("{error}"),
                _ => {}
            }
        }
        members[0].wait(Duration::from_millis(5));
    }
    panic!("nothing happens to the member's partitions");
}

fn answer(member: &mut KafkaConsumer, event: GroupEvent) {
    match event {
        GroupEvent::Assigned(assignments) => member.assign(&assignments).unwrap(),
        GroupEvent::Revoked(partitions) | GroupEvent::Lost(partitions) => member.unassign(&partitions).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Answer everything until the first of `members` has `count` partitions.
fn until_it_has(count: usize, members: &mut [&mut KafkaConsumer]) {
    while members[0].queues.len() != count {
        let event = next_event(members);
        answer(members[0], event);
    }
}

/// Poll for a while, and let what comes wait.
fn linger(member: &mut KafkaConsumer) {
    for _ in 0..50 {
        assert!(!matches!(member.poll(), Some(GroupEvent::Failed(_))));
        member.wait(Duration::from_millis(10));
    }
}

/// Drop it, which must not hang, not even on the thread that looks offsets up: the client is gone when its context is.
fn drop_in_time(member: KafkaConsumer) {
    let context = Arc::downgrade(&member.inbox);
    let (dropped, is_dropped) = mpsc::channel();
    thread::spawn(move || {
        drop(member);
        dropped.send(())
    });
    is_dropped.recv_timeout(SOON).expect("the consumer is dropped in time");
    let start = Instant::now();
    while context.strong_count() > 0 {
        assert!(start.elapsed() < SOON, "the client is not gone");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn partitions_that_are_taken_long_after_the_hook_has_returned_are_read_by_queues_of_their_own() {
    let scene = Scene::new(2);
    scene.write(0, &["a", "b"]);
    scene.write(1, &["c"]);
    let mut member = scene.member();
    let event = next_event(&mut [&mut member]);
    assert!(matches!(&event, GroupEvent::Assigned(assignments) if assignments.len() == 2), "{event:?}");
    linger(&mut member);
    answer(&mut member, event);
    assert_eq!(
        (scene.read(&mut member, 0, 2), scene.read(&mut member, 1, 1)),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
}

#[test]
fn a_partition_that_leaves_late_and_returns_comes_by_a_queue_of_its_own_again() {
    let scene = Scene::new(2);
    let mut stays = scene.member();
    until_it_has(2, &mut [&mut stays]);
    let mut written = [0, 0];
    for round in 0..2 {
        let mut comes = scene.member();
        let event = next_event(&mut [&mut stays, &mut comes]);
        let GroupEvent::Revoked(revoked) = &event else { panic!("{event:?}") };
        let left = revoked[0].partition;
        // Nobody else has it before it is given back.
        linger(&mut stays);
        assert!(comes.queues.is_empty());
        answer(&mut stays, event);
        until_it_has(1, &mut [&mut comes, &mut stays]);
        let text = format!("elsewhere {round}");
        scene.write(left, &[&text]);
        let written = &mut written[usize::try_from(left).unwrap()];
        *written += 1;
        assert_eq!(scene.read(&mut comes, left, *written).last(), Some(&text));

        let leaving = thread::spawn(move || drop_in_time(comes));
        until_it_has(2, &mut [&mut stays]);
        leaving.join().unwrap();
        let text = format!("back {round}");
        scene.write(left, &[&text]);
        // Nothing was committed, so all of it comes again.
        *written += 1;
        assert_eq!(scene.read(&mut stays, left, *written).last(), Some(&text));
    }
}

#[test]
fn the_partitions_of_a_member_that_did_not_poll_in_time_are_lost_and_not_revoked() {
    let scene = Scene::new(1);
    let time = if scene.inside.is_some() { "5000" } else { "2000" };
    let mut member = scene.member_with(time, &[("max.poll.interval.ms", time)]);
    until_it_has(1, &mut [&mut member]);
    // This is the fault itself, not something to wait for.
    thread::sleep(Duration::from_millis(time.parse::<u64>().unwrap() + 1_500));
    let event = next_event(&mut [&mut member]);
    assert!(matches!(&event, GroupEvent::Lost(partitions) if partitions.len() == 1), "{event:?}");
    answer(&mut member, event);
    // It is a member again, and reads by its own queue.
    until_it_has(1, &mut [&mut member]);
    scene.write(0, &["a"]);
    assert_eq!(scene.read(&mut member, 0, 1), ["a"]);
}

/// Drop a member in some state; another one, which may have come before, then has everything.
fn leaves(until: impl FnOnce(&Scene, &mut KafkaConsumer) -> Option<KafkaConsumer>) {
    let scene = Scene::new(2);
    let mut leaving = scene.member();
    let heir = until(&scene, &mut leaving);
    let leaving = thread::spawn(move || drop_in_time(leaving));
    let mut heir = heir.unwrap_or_else(|| scene.member());
    until_it_has(2, &mut [&mut heir]);
    leaving.join().unwrap();
}

#[test]
fn a_member_that_is_dropped_while_it_joins_leaves() {
    leaves(|_, member| {
        member.poll();
        None
    });
}

#[test]
fn a_member_that_is_dropped_while_its_committed_offsets_are_looked_up_leaves() {
    leaves(|_, member| {
        let start = Instant::now();
        while member.look_up.is_none() {
            assert!(start.elapsed() < SOON, "nothing is assigned");
            member.poll();
        }
        None
    });
}

#[test]
fn a_member_that_is_dropped_before_it_takes_its_partitions_leaves() {
    leaves(|_, member| {
        assert!(matches!(next_event(&mut [member]), GroupEvent::Assigned(_)));
        None
    });
}

#[test]
fn a_member_that_is_dropped_at_work_leaves() {
    leaves(|_, member| {
        until_it_has(2, &mut [member]);
        None
    });
}

#[test]
fn a_member_that_is_dropped_before_it_gives_a_partition_back_leaves() {
    leaves(|scene, member| {
        until_it_has(2, &mut [member]);
        let mut comes = scene.member();
        let event = next_event(&mut [member, &mut comes]);
        assert!(matches!(event, GroupEvent::Revoked(_)), "{event:?}");
        Some(comes)
    });
}

#[test]
fn a_member_whose_hook_has_told_of_a_rebalance_that_nobody_looked_at_leaves() {
    leaves(|scene, member| {
        until_it_has(2, &mut [member]);
        let mut comes = scene.member();
        let start = Instant::now();
        while member.inbox.membership.lock().is_empty() {
            assert!(start.elapsed() < SOON, "there is no rebalance");
            comes.poll();
            // The hook runs in here; what it recorded is not taken.
            assert!(member.consumer.poll(Duration::from_millis(5)).is_none());
        }
        Some(comes)
    });
}

#[test]
fn a_member_is_dropped_in_time_when_the_brokers_are_gone_and_offsets_are_being_looked_up() {
    let scene = Scene::inside(1);
    let mut member = scene.member();
    let start = Instant::now();
    while member.inbox.membership.lock().is_empty() {
        assert!(start.elapsed() < SOON, "nothing is assigned");
        assert!(member.consumer.poll(Duration::from_millis(5)).is_none());
    }
    drop(scene);
    assert!(member.next_membership().is_none() && member.look_up.is_some());
    drop_in_time(member);
}
