//! Why there is no kernel plane, and what to do about it.

use crate::pins::NotPinned;
use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use nix::errno::Errno;
use std::io;

/// The daemon forwards everything itself then.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The object was not there when this crate was built.
    #[error("this binary was built without the kernel programs: run `cargo xtask setup`, then build again")]
    NotBuilt,
    /// The programs need features of later kernels.
    #[error("Linux {found} is too old for the kernel programs: 6.1 or later is needed")]
    OldKernel {
        /// The running one.
        found: String,
    },
    /// There is no interface of this name.
    #[error("there is no network interface {0:?}: name the one that media comes in by, see `ip link`")]
    NoSuchInterface(String),
    /// Frames of the interface have no Ethernet header.
    #[error("{interface} is no Ethernet interface ({kind}): the kernel programs need one")]
    NotEthernet {
        /// Its name.
        interface: String,
        /// What it is.
        kind: String,
    },
    /// The driver cannot run XDP programs, or cannot now.
    #[error(
        "the driver of {interface} does not take XDP programs in native mode ({source}): use another interface; some drivers want an \
         MTU of at most 3,000 bytes, LRO and hardware GRO off (`ethtool -K {interface} lro off rx-gro-hw off`), or queues for XDP"
    )]
    NoNativeXdp {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The interface runs another program.
    #[error(
        "another XDP program{} is attached to {interface}: see `ip link show {interface}` and `bpftool net`, and stop what attached it",
        program.map(|id| format!(" (id {id})")).unwrap_or_default()
    )]
    Busy {
        /// Its name.
        interface: String,
        /// The other program, if the kernel says.
        program: Option<u32>,
    },
    /// Privileges are missing.
    #[error("no permission to {what} ({source}): run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    NotPermitted {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Maps count towards the memory of the control group.
    #[error("no memory to {what} ({source}): raise the memory limit of the service")]
    NoMemory {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The verifier does not let a program in.
    #[error(
        "the kernel refused the program {program:?} ({source}); the end of what it says of it:\n{}",
        last_lines(log)
    )]
    Refused {
        /// Its name.
        program: &'static str,
        /// All that the verifier says.
        log: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The object was built from other sources than this crate.
    #[error("the kernel programs do not fit this binary: {0}; run `cargo xtask setup`, then build again")]
    Mismatch(String),
    /// What is to outlive the daemon has no place.
    #[error(transparent)]
    NotPinned(#[from] NotPinned),
    /// Anything else.
    #[error("the kernel plane cannot be set up")]
    Other(#[from] io::Error),
}

impl Unavailable {
    pub(crate) fn missing(name: &str) -> Self {
        Self::Mismatch(format!("{name} is missing in them"))
    }

    pub(crate) fn from_map(error: MapError) -> Self {
        match error {
            MapError::CreateError { name, io_error } => {
                Self::from_io(&format!("make the map {name}"), io_error)
            }
            MapError::SyscallError(error) => Self::from_io(error.call, error.io_error),
            MapError::IoError(error) => Self::from_io("set up maps", error),
            error => Self::Mismatch(error.to_string()),
        }
    }

    pub(crate) fn from_object(error: EbpfError) -> Self {
        match error {
            EbpfError::MapError(error) => Self::from_map(error),
            error => Self::Mismatch(error.to_string()),
        }
    }

    pub(crate) fn from_program(program: &'static str, error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => Self::from_verdict(program, io_error, verifier_log.to_string()),
            ProgramError::SyscallError(error) => Self::from_io(error.call, error.io_error),
            ProgramError::MapError(error) => Self::from_map(error),
            error => Self::Mismatch(error.to_string()),
        }
    }

    fn from_verdict(program: &'static str, source: io::Error, log: String) -> Self {
        // The verifier has more to say against programs of those who may not read kernel memory (CAP_PERFMON); what it says
        // of programs that are wrong comes with other numbers.
        if is(&source, Errno::EPERM) || log.contains("prohibited for !root") {
            return Self::NotPermitted {
                what: format!("load the program {program:?}"),
                source,
            };
        }
        Self::Refused { program, log, source }
    }

    pub(crate) fn from_io(what: &str, source: io::Error) -> Self {
        let what = what.to_owned();
        if is(&source, Errno::EPERM) || is(&source, Errno::EACCES) {
            return Self::NotPermitted { what, source };
        }
        if is(&source, Errno::ENOMEM) {
            return Self::NoMemory { what, source };
        }
        Self::Other(io::Error::new(
            source.kind(),
            format!("could not {what}: {source}"),
        ))
    }
}

pub(crate) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

/// The verdict stands at the end of a log that may be long.
fn last_lines(log: &str) -> String {
    const LINES: usize = 24;
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Unavailable, last_lines};
    use aya::EbpfError;
    use aya::maps::MapError;
    use nix::errno::Errno;
    use std::io;

    fn errno(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno as i32)
    }

    #[test]
    fn what_the_kernel_forbids_asks_for_privileges() {
        let error = Unavailable::from_object(EbpfError::MapError(MapError::CreateError {
            name: "STREAMS".to_owned(),
            io_error: errno(Errno::EPERM),
        }));
        let text = error.to_string();
        assert!(
            text.contains("make the map STREAMS") && text.contains("CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"),
            "{text}"
        );
    }

    #[test]
    fn a_program_is_refused_for_what_it_does_or_for_whose_it_is() {
        let verdict = |number, log: &str| Unavailable::from_verdict("egress", errno(number), log.to_owned());
        let wrong = verdict(
            Errno::EACCES,
            "R3 min value is outside of the allowed memory range",
        );
        assert!(
            matches!(
                wrong,
                Unavailable::Refused {
                    program: "egress",
                    ..
                }
            ),
            "{wrong}"
        );
        let privileged = "R3 pointer arithmetic of map value goes out of range, prohibited for !root";
        for ours in [verdict(Errno::EPERM, ""), verdict(Errno::EACCES, privileged)] {
            assert!(matches!(ours, Unavailable::NotPermitted { .. }), "{ours}");
        }
    }

    #[test]
    fn a_full_control_group_asks_for_memory() {
        let error = Unavailable::from_io("make the map LEGS", errno(Errno::ENOMEM));
        assert!(matches!(error, Unavailable::NoMemory { .. }), "{error:?}");
    }

    #[test]
    fn the_other_program_is_named_if_it_is_known() {
        let busy = |program| Unavailable::Busy {
            interface: "eth0".to_owned(),
            program,
        };
        assert!(
            busy(Some(7))
                .to_string()
                .starts_with("another XDP program (id 7) is attached to eth0")
        );
        assert!(
            busy(None)
                .to_string()
                .starts_with("another XDP program is attached to eth0")
        );
    }

    #[test]
    fn of_a_long_log_the_end_is_shown() {
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        assert!(last_lines(&log).starts_with("line 76\n") && last_lines(&log).ends_with("line 99"));
        assert_eq!(last_lines("one"), "one");
    }
}
