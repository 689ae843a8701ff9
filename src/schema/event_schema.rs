//! What the codec keeps for each event type.

use std::any::TypeId;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use apache_avro::writer::datum::GenericDatumWriter;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::contract::{Contract, SchemaError};
use super::frame::FRAME_BYTES;
use super::plan::Plan;
use crate::event::Event;

/// An event type's schema and the writer that is ready for it.
pub(super) struct EventSchema {
    contract: &'static Arc<Contract>,
    /// Writes what comes in the schema's order; the library writes the rest.
    plan: Option<Plan>,
    /// Whether this type has needed the library, so that it is not tried twice each time.
    unusual: AtomicBool,
    writer: GenericDatumWriter<'static>,
    /// The size of the last payload: the next one is likely to be alike.
    last_size: AtomicUsize,
}

/// Each event type's schema lives as long as the process: its text is a constant of the type already, a type is never
/// unloaded, and the writer borrows from the parsed schema. So it is leaked, once for each type.
static EVENT_SCHEMAS: OnceLock<RwLock<FxHashMap<TypeId, &'static EventSchema>>> = OnceLock::new();

impl EventSchema {
    /// The schema of `E`; parsed the first time.
    pub(super) fn of<E: Event>() -> Result<&'static Self, SchemaError> {
        let schemas = EVENT_SCHEMAS.get_or_init(RwLock::default);
        if let Some(known) = schemas.read().get(&TypeId::of::<E>()) {
            return Ok(known);
        }
        let mut schemas = schemas.write();
        if let Some(known) = schemas.get(&TypeId::of::<E>()) {
            return Ok(known);
        }
        let contract: &'static Arc<Contract> = Box::leak(Box::new(Arc::new(Contract::parse(E::SCHEMA)?)));
        let writer = GenericDatumWriter::builder(contract.schema())
            .human_readable(true)
            .build()
            .map_err(|error| SchemaError::Invalid(Box::new(error)))?;
        let schema: &'static Self = Box::leak(Box::new(Self {
            contract,
            plan: Plan::as_written(contract).ok(),
            unusual: AtomicBool::new(false),
            writer,
            last_size: AtomicUsize::new(0),
        }));
        schemas.insert(TypeId::of::<E>(), schema);
        Ok(schema)
    }

    /// The schema.
    pub(super) fn contract(&self) -> &Arc<Contract> {
        self.contract
    }

    fn planned<E: Event>(&self, event: &E, payload: &mut Vec<u8>) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.write(event, payload).is_ok())
    }

    /// `event` behind room for the frame, in a buffer that takes one like the last.
    pub(super) fn write<E: Event>(&self, event: &E) -> Result<Vec<u8>, apache_avro::Error> {
        let mut payload = Vec::with_capacity(FRAME_BYTES + self.last_size.load(Ordering::Relaxed));
        payload.extend([0; FRAME_BYTES]);
        let usual = !self.unusual.load(Ordering::Relaxed);
        if !(usual && self.planned(event, &mut payload)) {
            payload.truncate(FRAME_BYTES);
            match self.writer.write_ser(&mut payload, event) {
                Ok(_) => self.unusual.store(true, Ordering::Relaxed),
                // What the library does not write, the plan may, even if another event of the type has needed the library.
                Err(error) => {
                    payload.truncate(FRAME_BYTES);
                    if usual || !self.planned(event, &mut payload) {
                        return Err(error);
                    }
                }
            }
        }
        self.last_size.store(payload.len() - FRAME_BYTES, Ordering::Relaxed);
        Ok(payload)
    }
}
