//! Mermaid diagrams of several services, all from the same contracts.

mod graph;
mod sequence;
mod states;
mod text;

pub(super) use self::graph::graph;
pub(super) use self::sequence::sequence;
pub(super) use self::states::states;
