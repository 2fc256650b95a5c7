//! Whether this kernel takes the programs of this binary.

use super::report::Check;
use lianmai_kernel::{Config, Kernel, Outliving, ProgramInfo};

/// What the verifier goes through at most.
const VERIFIER_LIMIT: u32 = 1_000_000;

/// Bytes of an instruction.
const INSTRUCTION: u32 = 8;

pub(super) fn checks() -> Vec<Check> {
    match Kernel::try_out() {
        Ok(programs) => programs.iter().map(program).collect(),
        Err(error) => vec![Check::fail("programs", error.to_string())],
    }
}

/// Attaches them and takes them off again.
pub(super) fn attached(interface: String) -> Check {
    // No packet is for this port.
    let media_port = 0;
    match Kernel::load(&Config {
        interface,
        media_port,
        outliving: Outliving::No,
    }) {
        Ok(_) => Check::ok("attaching", "the programs were attached, and taken off again"),
        Err(error) => Check::fail("attaching", error.to_string()),
    }
}

fn program(info: &ProgramInfo) -> Check {
    let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let says = format!(
        "{} is {} instructions, {} bytes of machine code; {} of {VERIFIER_LIMIT} steps to verify",
        info.name,
        number(info.translated_size.map(|bytes| bytes / INSTRUCTION)),
        info.jited_size,
        number(info.verified_instructions)
    );
    // Hosts that interpret have no machine code.
    if info.jited_size == 0 {
        Check::fail("programs", says)
    } else {
        Check::ok("programs", says)
    }
}
