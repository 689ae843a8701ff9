//! Passes over what a reader does not want.

use super::cursor::Cursor;
use super::{DatumError, Node, NodeId, Number, Plan};

impl Plan {
    /// Pass over a value.
    pub(super) fn skip(&self, id: NodeId, cursor: &mut Cursor<'_>) -> Result<(), DatumError> {
        match self.node(id) {
            Node::Null | Node::Unresolved => Ok(()),
            Node::Boolean => cursor.boolean().map(drop),
            Node::Number { written: Number::Int | Number::Long, .. } => cursor.long().map(drop),
            Node::Number { written: Number::Float, .. } => cursor.float().map(drop),
            Node::Number { written: Number::Double, .. } => cursor.double().map(drop),
            Node::Bytes | Node::Text => cursor.bytes().map(drop),
            Node::Fixed { size, .. } => cursor.fixed(*size).map(drop),
            Node::Enum { symbols } => cursor.index("symbol", symbols.len()).map(drop),
            Node::Array { items, weightless } => self.skip_items(*items, *weightless, false, cursor),
            Node::Map { values } => self.skip_items(*values, false, true, cursor),
            Node::Union { .. } => {
                let (_, value) = self.branch(id, cursor)?;
                self.skip(value, cursor)
            }
            Node::Branch { value, .. } => self.skip(*value, cursor),
            Node::Record(record) => {
                cursor.enter(record.empty_values)?;
                for field in &record.fields {
                    self.skip(field.value, cursor)?;
                }
                cursor.leave();
                Ok(())
            }
        }
    }

    fn skip_items(
        &self,
        items: NodeId,
        weightless: bool,
        keyed: bool,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), DatumError> {
        cursor.enter(0)?;
        loop {
            let count = cursor.block(weightless)?;
            if count == 0 {
                cursor.leave();
                return Ok(());
            }
            for _ in 0..count {
                if keyed {
                    cursor.bytes()?;
                }
                self.skip(items, cursor)?;
            }
        }
    }

    /// The branch that was written: where the reader has a union, its branch there, and the node of its value.
    pub(super) fn branch(&self, id: NodeId, cursor: &mut Cursor<'_>) -> Result<(Option<u32>, NodeId), DatumError> {
        match self.node(id) {
            Node::Union { branches, .. } => {
                let branch = &branches[cursor.index("branch", branches.len())?];
                match &branch.value {
                    Ok(value) => Ok((branch.read_as, *value)),
                    Err(reason) => Err(DatumError::unreadable_branch(reason)),
                }
            }
            Node::Branch { index, value, .. } => Ok((Some(*index), *value)),
            _ => Ok((None, id)),
        }
    }
}
