//! A stream that an earlier daemon announced and the kernel forwards.

use super::{Described, StreamSlot};
use crate::places::Directory;
use crate::shared::Shared;
use crate::table::TableSlot;
use crate::tokens::Tokens;
use lianmai_fanout::records::{Fan, LEG_RECORDS, Leg, MAX_LEGS, Stream, StreamKey};
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

impl StreamSlot {
    /// Goes on with what the record says, if it speaks of these tokens and this table.
    pub(crate) fn adopted(
        number: u32,
        key: StreamKey,
        (tokens, table): (&Tokens, &TableSlot),
        shared: Arc<Shared>,
        directory: Arc<Directory>,
    ) -> Option<Self> {
        let mut slot = Self {
            number,
            shared,
            directory,
            described: Some(Described {
                tokens: tokens.id(),
                table: table.id(),
            }),
            key: Some(key),
            fan: Fan::default(),
            legs_set: None,
        };
        slot.fan = Fan::from_word(slot.word(offset_of!(Stream, fan)).load(Acquire));
        let half = |offset| slot.half(offset).load(Relaxed);
        let is_it = half(offset_of!(Stream, tokens)) == tokens.id()
            && half(offset_of!(Stream, token_mask)) == tokens.len() - 1
            && half(offset_of!(Stream, table)) == table.id();
        is_it.then_some(slot)
    }

    /// The records of the legs that the kernel sends to.
    #[must_use]
    pub fn legs(&self) -> Vec<Leg> {
        let last = self
            .fan
            .first
            .saturating_add(self.fan.legs.min(MAX_LEGS))
            .min(LEG_RECORDS);
        (self.fan.first..last)
            .map(|place| {
                // SAFETY: leg records have no padding, and this block is this slot's, which writes only to the other one.
                unsafe { self.shared.legs.read(place as usize * size_of::<Leg>()) }
            })
            .collect()
    }
}
