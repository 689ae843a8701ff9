//! A producer that keeps to a schedule, whatever becomes of its records.

use std::thread;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use tidings::schema::Codec;
use tidings::transport::OutgoingRecord;

use super::Cluster;
use super::cluster::outgoing;
use super::score::ScoreChanged;

/// The thread sleeps until this long before a record is due.
const SLEEP_MARGIN: Duration = Duration::from_micros(60);

/// Offers events whose `score` is when they were to be sent: nanoseconds since `epoch`.
pub struct Offering {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: &'static str,
    schema: Schema,
    template: OutgoingRecord,
    epoch: Instant,
}

impl Offering {
    pub async fn new(cluster: &Cluster, topic: &'static str, epoch: Instant) -> Self {
        let producer = cluster.client_config().set("linger.ms", "0").set("acks", "1").create().expect("a producer");
        // What is written does not matter here, so the headers of one event do for all.
        let template = outgoing(topic, &Codec::default(), &ScoreChanged::of(0)).await;
        Self { producer, topic, schema: super::bare::schema(), template, epoch }
    }

    /// Send one event with `score` 0, which is no time of sending.
    pub fn warm_up(&self) {
        self.send(&self.writer(), &ScoreChanged { score: 0, ..ScoreChanged::of(0) });
        self.producer.flush(Duration::from_secs(30)).expect("an acknowledgement");
    }

    /// Send `event` at once.
    pub fn send_one(&self, event: &ScoreChanged) {
        self.send(&self.writer(), event);
    }

    /// Send `count` events, `per_second` of them, each when it is due. One that is late is sent at once and keeps its time.
    pub fn run(&self, per_second: u64, count: u64, keys: u64) {
        let writer = self.writer();
        let start = Instant::now() + Duration::from_millis(10);
        for index in 0..count {
            let due = start + Duration::from_nanos(index * 1_000_000_000 / per_second);
            let early = due.saturating_duration_since(Instant::now());
            if early > SLEEP_MARGIN {
                thread::sleep(early.saturating_sub(SLEEP_MARGIN));
            }
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            let score = i64::try_from((due - self.epoch).as_nanos()).expect("a short run");
            self.send(&writer, &ScoreChanged { score, ..ScoreChanged::of(index % keys) });
        }
        self.producer.flush(Duration::from_secs(30)).expect("acknowledgements");
    }

    fn writer(&self) -> GenericDatumWriter<'_> {
        GenericDatumWriter::builder(&self.schema).build().expect("a writer")
    }

    fn send(&self, writer: &GenericDatumWriter<'_>, event: &ScoreChanged) {
        let template = self.template.payload.as_deref().expect("a payload");
        let mut payload = Vec::with_capacity(template.len() + 16);
        payload.extend_from_slice(&template[..5]);
        writer.write_ser(&mut payload, event).expect("an event that encodes");
        let key = event.player.to_string();
        let mut headers = OwnedHeaders::new_with_capacity(16);
        for header in self.template.headers.iter() {
            let name = std::str::from_utf8(header.name).expect("our own names");
            headers = headers.insert(Header { key: name, value: header.value });
        }
        let mut record = BaseRecord::to(self.topic).key(&key).payload(&payload).headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => record = refused,
                Err((error, _)) => panic!("an event could not be sent: {error}"),
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}
