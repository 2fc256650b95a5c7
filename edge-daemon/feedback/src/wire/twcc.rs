//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

use super::ParseError;
use super::parse::sign_extend_24;
use super::reader::Reader;
use lianmai_fanout::Ssrc;
use std::time::Duration;

/// The unit of arrival deltas (§3.1.5).
pub(crate) const TICK: Duration = Duration::from_micros(250);
/// Ticks in the 64 ms unit of the reference time (§3.1).
pub(crate) const TICKS_PER_REFERENCE: i64 = 256;
/// Most packets that a feedback of ours speaks of: with two bytes each it stays below any path MTU.
pub const MAX_STATUS_COUNT: u16 = 400;

/// Run length chunks hold 13 bits of length (§3.1.3).
const MAX_RUN: usize = 0x1fff;
/// Symbols in a status vector chunk of one and of two bits each (§3.1.4).
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;

/// When the packets `base..base + count` arrived, if they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFeedback {
    /// Who reports.
    pub sender: Ssrc,
    /// Some media stream of the peer; without meaning.
    pub media: Ssrc,
    /// The first packet reported on.
    pub base: u16,
    /// How many packets are reported on.
    pub count: u16,
    /// Origin of the arrival times in units of 64 ms, 24 bits, signed.
    pub reference: i32,
    /// Goes up by one with each feedback packet.
    pub sequence: u8,
    /// Those that arrived: offset from `base`, ascending, and the arrival in ticks of 250 us from the reference.
    pub arrivals: Vec<(u16, i64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Missing = 0,
    SmallDelta = 1,
    LargeDelta = 2,
}

impl Symbol {
    fn read(bits: u16) -> Result<Self, ParseError> {
        match bits & 3 {
            0 => Ok(Self::Missing),
            1 => Ok(Self::SmallDelta),
            2 => Ok(Self::LargeDelta),
            _ => Err(ParseError::ReservedStatus),
        }
    }

    fn of_delta(delta: i64) -> Self {
        if u8::try_from(delta).is_ok() {
            Self::SmallDelta
        } else {
            Self::LargeDelta
        }
    }
}

impl TransportFeedback {
    /// The payload behind the common header. Memory is bound by the bytes: every arrival has its delta.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut feedback = Self {
            sender: reader.ssrc()?,
            media: reader.ssrc()?,
            base: reader.u16()?,
            count: reader.u16()?,
            reference: sign_extend_24(reader.u24()?),
            sequence: reader.u8()?,
            arrivals: Vec::new(),
        };
        let received = read_chunks(reader, feedback.count)?;
        feedback.arrivals.reserve_exact(received.len());
        let mut ticks = 0;
        for (offset, symbol) in received {
            ticks += match symbol {
                Symbol::SmallDelta => i64::from(reader.u8()?),
                Symbol::LargeDelta | Symbol::Missing => i64::from(reader.u16()?.cast_signed()),
            };
            feedback.arrivals.push((offset, ticks));
        }
        Ok(feedback)
    }

    /// Appends the payload behind the common header; the caller fills up to a word. Neighbouring arrivals must
    /// be at most 8 s apart, which the recorder sees to.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (symbols, deltas) = self.symbols_and_deltas();
        out.extend(self.sender.0.to_be_bytes());
        out.extend(self.media.0.to_be_bytes());
        out.extend(self.base.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend(&self.reference.to_be_bytes()[1..]);
        out.push(self.sequence);
        write_chunks(&symbols, out);
        for delta in deltas {
            match u8::try_from(delta) {
                Ok(small) => out.push(small),
                Err(_) => out.extend(delta.to_be_bytes()),
            }
        }
    }

    fn symbols_and_deltas(&self) -> (Vec<Symbol>, Vec<i16>) {
        let mut symbols = vec![Symbol::Missing; usize::from(self.count)];
        let mut deltas = Vec::with_capacity(self.arrivals.len());
        let mut before = 0;
        for &(offset, ticks) in &self.arrivals {
            let Some(symbol) = symbols.get_mut(usize::from(offset)) else {
                break;
            };
            let delta = ticks - before;
            before = ticks;
            *symbol = Symbol::of_delta(delta);
            deltas.push(delta.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
        (symbols, deltas)
    }
}

/// Whether two arrivals can stand next to each other in one feedback (§3.1.5).
pub(crate) fn delta_fits(ticks: i64) -> bool {
    i16::try_from(ticks).is_ok()
}

/// What arrived, by offset. A received packet costs the peer a byte of delta, which is checked here, so that
/// run lengths cannot make us allocate more than was sent.
fn read_chunks(reader: &mut Reader<'_>, count: u16) -> Result<Vec<(u16, Symbol)>, ParseError> {
    let mut received = Vec::new();
    let mut offset = 0;
    while offset < count {
        let chunk = reader.u16()?;
        if chunk & 0x8000 == 0 {
            let run = (chunk & 0x1fff).min(count - offset);
            let symbol = Symbol::read(chunk >> 13)?;
            if symbol != Symbol::Missing {
                let needed = received.len() + usize::from(run);
                reader.clone().take(needed)?;
                received.extend((offset..offset + run).map(|offset| (offset, symbol)));
            }
            offset += run;
        } else {
            offset = read_vector(chunk, offset, count, &mut received)?;
        }
    }
    Ok(received)
}

fn read_vector(
    chunk: u16,
    offset: u16,
    count: u16,
    received: &mut Vec<(u16, Symbol)>,
) -> Result<u16, ParseError> {
    let (width, symbols) = if chunk & 0x4000 == 0 {
        (1, ONE_BIT_SYMBOLS)
    } else {
        (2, TWO_BIT_SYMBOLS)
    };
    let taken = (symbols as u16).min(count - offset);
    for at in 0..taken {
        let bits = chunk >> (14 - width * (at + 1)) & ((1 << width) - 1);
        let symbol = Symbol::read(bits)?;
        if symbol != Symbol::Missing {
            received.push((offset + at, symbol));
        }
    }
    Ok(offset + taken)
}

fn write_chunks(mut symbols: &[Symbol], out: &mut Vec<u8>) {
    while let Some(&first) = symbols.first() {
        let (chunk, taken) = next_chunk(first, symbols);
        out.extend(chunk.to_be_bytes());
        symbols = &symbols[taken..];
    }
}

/// A run where it covers at least as much as a vector would, else the vector that holds these symbols.
fn next_chunk(first: Symbol, symbols: &[Symbol]) -> (u16, usize) {
    let run = symbols
        .iter()
        .take_while(|symbol| **symbol == first)
        .take(MAX_RUN)
        .count();
    let window = &symbols[..symbols.len().min(ONE_BIT_SYMBOLS)];
    let wide = window.contains(&Symbol::LargeDelta);
    let capacity = if wide { TWO_BIT_SYMBOLS } else { ONE_BIT_SYMBOLS };
    if run >= capacity.min(symbols.len()) {
        return ((first as u16) << 13 | run as u16, run);
    }
    let (width, flags) = if wide { (2, 0xc000) } else { (1, 0x8000) };
    let taken = symbols.len().min(capacity);
    let shifted = symbols[..taken]
        .iter()
        .zip(1..)
        .map(|(symbol, at)| (*symbol as u16) << (14 - width * at));
    (shifted.fold(flags, |chunk, bits| chunk | bits), taken)
}
