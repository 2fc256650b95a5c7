//! The programs without an interface: packets are put in by hand, and what comes out is looked at. For tests and benchmarks.

use crate::copies::Copies;
use crate::kernel::{self, Counters, EGRESS_BY_HAND, INGRESS};
use crate::maps::Maps;
use crate::object::{self, Shapes};
use crate::outcomes::Outcomes;
use crate::unavailable::Unavailable;
use aya::Ebpf;
use aya::programs::{TestRun, TestRunOptions, Xdp};
use std::time::Duration;

/// Frames with metadata before them, at most.
const ROOM: usize = 4_096;

/// The programs and maps of nobody's interface.
#[derive(Debug)]
pub struct ByHand {
    counters: Counters,
    copies: Copies,
    maps: Maps,
    object: Ebpf,
}

/// What a program made of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What it returned.
    pub action: u32,
    /// How long it took.
    pub duration: Duration,
    bytes: Vec<u8>,
    metadata_len: usize,
}

impl Run {
    /// A frame that no program has seen.
    #[must_use]
    pub fn of_frame(frame: &[u8]) -> Self {
        Self {
            action: 0,
            duration: Duration::ZERO,
            bytes: frame.to_vec(),
            metadata_len: 0,
        }
    }

    /// The frame as the program left it.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        self.bytes.get(self.metadata_len..).unwrap_or_default()
    }
}

impl ByHand {
    /// Loads the programs that were built into this binary.
    pub fn load(media_port: u16) -> Result<Self, Unavailable> {
        let object = object::built_in()?;
        let shapes = Shapes::declared(object)?;
        let mut object = kernel::open(object, media_port, None)?;
        for name in [INGRESS, EGRESS_BY_HAND] {
            kernel::load(&mut object, name)?;
        }
        Ok(Self {
            counters: kernel::counters(&mut object)?,
            copies: kernel::copies(&mut object)?,
            maps: Maps::in_kernel(&mut object, shapes, None, false)?,
            object,
        })
    }

    /// Where slots are to be had.
    pub fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }

    /// Where copies of packets arrive.
    pub fn copies(&mut self) -> &mut Copies {
        &mut self.copies
    }

    /// What became of the packets so far.
    ///
    /// # Panics
    /// If the kernel does not say.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        self.counters.read().expect("the kernel reads its counters")
    }

    /// A frame arrives.
    pub fn ingress(&mut self, frame: &[u8]) -> Run {
        run(&self.object, INGRESS, &Run::of_frame(frame))
    }

    /// A copy of a frame that `ingress` let through leaves.
    pub fn egress(&mut self, accepted: &Run) -> Run {
        run(&self.object, EGRESS_BY_HAND, accepted)
    }
}

/// Has a program work on a frame.
pub(crate) fn run(object: &Ebpf, name: &str, input: &Run) -> Run {
    let program = object.program(name).expect("loaded");
    let program: &Xdp = program.try_into().expect("an XDP program");
    let mut out = vec![0; ROOM];
    let context = context(input.metadata_len, input.bytes.len());
    let mut context_out = context;
    let options = TestRunOptions {
        data_in: Some(&input.bytes),
        data_out: Some(&mut out),
        ctx_in: Some(&context),
        ctx_out: Some(&mut context_out),
        ..TestRunOptions::new()
    };
    let result = program.test_run(options).expect("the kernel runs it");
    out.truncate(result.data_size_out as usize);
    Run {
        action: result.return_value,
        duration: result.duration,
        metadata_len: data_at(&context_out),
        bytes: out,
    }
}

/// `struct xdp_md` of linux/bpf.h, whose first three words say where metadata, frame and end lie in what is passed.
const CONTEXT: usize = 24;

fn context(metadata_len: usize, len: usize) -> [u8; CONTEXT] {
    let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_ne_bytes();
    let mut context = [0; CONTEXT];
    context[0..4].copy_from_slice(&word(metadata_len));
    context[4..8].copy_from_slice(&word(len));
    context
}

fn data_at(context: &[u8; CONTEXT]) -> usize {
    let [word, ..] = context.as_chunks::<4>().0 else {
        return 0;
    };
    u32::from_ne_bytes(*word) as usize
}
