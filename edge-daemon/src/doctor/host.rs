//! What the machine and this process bring along, whatever the interface.

use super::report::Check;
use crate::config::DEFAULT_PINS as BPFFS;
use std::fs::read_to_string;
use std::path::Path;

/// Bits of a capability set, from linux/capability.h.
const NET_ADMIN: Capability = Capability("CAP_NET_ADMIN", 12);
const SYS_ADMIN: Capability = Capability("CAP_SYS_ADMIN", 21);
const PERFMON: Capability = Capability("CAP_PERFMON", 38);
const BPF: Capability = Capability("CAP_BPF", 39);

#[derive(Clone, Copy)]
struct Capability(&'static str, u32);

pub(super) fn checks() -> Vec<Check> {
    vec![
        kernel(&read("/proc/sys/kernel/osrelease")),
        jit(&read("/proc/sys/net/core/bpf_jit_enable")),
        hardening(&read("/proc/sys/net/core/bpf_jit_harden")),
        btf(Path::new("/sys/kernel/btf/vmlinux").exists()),
        capabilities(&read("/proc/self/status")),
        unprivileged(&read("/proc/sys/kernel/unprivileged_bpf_disabled")),
        bpffs(&read("/proc/self/mounts")),
    ]
}

fn read(path: &str) -> String {
    read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn kernel(release: &str) -> Check {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    let version = (numbers.next(), numbers.next());
    match version {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (6, 1) => {
            Check::ok("kernel", format!("{release}, and 6.1 is needed"))
        }
        _ => Check::fail(
            "kernel",
            format!("{release:?}, and 6.1 is needed: boot a newer one"),
        ),
    }
}

fn jit(enabled: &str) -> Check {
    match enabled {
        "1" => Check::ok("jit", "programs run as machine code"),
        "2" => {
            Check::warn("jit", "on, and every program is logged").by("sysctl -w net.core.bpf_jit_enable=1")
        }
        "0" => {
            Check::fail("jit", "off: programs would be interpreted").by("sysctl -w net.core.bpf_jit_enable=1")
        }
        _ => Check::ok(
            "jit",
            "cannot be seen from this network namespace; the sizes of the programs tell",
        ),
    }
}

/// Blinded constants cost instructions in every step of the hash.
fn hardening(level: &str) -> Check {
    match level {
        "2" => Check::warn(
            "jit hardening",
            "constants are blinded for root as well, which costs time per packet",
        )
        .by("sysctl -w net.core.bpf_jit_harden=1"),
        "" => Check::ok("jit hardening", "cannot be seen by this user"),
        level => Check::ok(
            "jit hardening",
            format!("{level}, which leaves privileged programs alone"),
        ),
    }
}

fn btf(there: bool) -> Check {
    if there {
        Check::ok("btf", "/sys/kernel/btf/vmlinux")
    } else {
        Check::warn(
            "btf",
            "the kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)",
        )
    }
}

fn capabilities(status: &str) -> Check {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    let has = |Capability(_, bit): Capability| set.is_some_and(|set| set >> bit & 1 == 1);
    let missing: Vec<_> = [BPF, NET_ADMIN, PERFMON]
        .into_iter()
        .filter(|capability| !has(*capability))
        // What the two newer ones allow was CAP_SYS_ADMIN's before, and still is.
        .filter(|capability| capability.1 == NET_ADMIN.1 || !has(SYS_ADMIN))
        .map(|Capability(name, _)| name)
        .collect();
    if missing.is_empty() {
        return Check::ok("capabilities", "this process may load and attach");
    }
    Check::fail(
        "capabilities",
        format!("this process lacks {}", missing.join(", ")),
    )
    .by("run it as root, or `setcap cap_bpf,cap_net_admin,cap_perfmon+ep` on lianmai-edge")
}

fn unprivileged(disabled: &str) -> Check {
    match disabled {
        "0" => Check::warn(
            "other users",
            "any user may load programs; the edge does not need that",
        )
        .by("sysctl -w kernel.unprivileged_bpf_disabled=2"),
        _ => Check::ok("other users", "only privileged ones may load programs"),
    }
}

fn bpffs(mounts: &str) -> Check {
    let mounted = mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        (fields.next(), fields.next()) == (Some(BPFFS), Some("bpf"))
    });
    if mounted {
        Check::ok("bpffs", format!("{BPFFS} is mounted"))
    } else {
        Check::warn(
            "bpffs",
            format!("{BPFFS} is not mounted, so a talk ends with its daemon"),
        )
        .by(format!("mount -t bpf bpf {BPFFS}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Check, Verdict};
    use super::{bpffs, capabilities, jit, kernel, unprivileged};

    fn all(check: impl Fn(&str) -> Check, cases: &[(&str, Verdict)]) {
        for (input, verdict) in cases {
            let check = check(input);
            assert_eq!(check.verdict, *verdict, "{input:?}: {check}");
        }
    }

    #[test]
    fn the_kernel_is_6_1_or_newer() {
        all(
            kernel,
            &[
                ("6.1.0-37-amd64", Verdict::Ok),
                ("6.18.44", Verdict::Ok),
                ("10.0", Verdict::Ok),
                ("6.0.19", Verdict::Fail),
                ("5.10.0-28-amd64", Verdict::Fail),
                ("", Verdict::Fail),
                ("unknown", Verdict::Fail),
            ],
        );
    }

    #[test]
    fn programs_that_would_be_interpreted_fail() {
        all(
            jit,
            &[
                ("1", Verdict::Ok),
                ("2", Verdict::Warn),
                ("0", Verdict::Fail),
                ("", Verdict::Ok),
            ],
        );
    }

    #[test]
    fn capabilities_are_root_or_the_three() {
        all(
            capabilities,
            &[
                ("CapInh:\t0\nCapEff:\t000001ffffffffff\n", Verdict::Ok),
                ("CapEff:\t000000c000001000\n", Verdict::Ok),
                // CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON, but not for CAP_NET_ADMIN.
                ("CapEff:\t0000000000201000\n", Verdict::Ok),
                ("CapEff:\t0000000000200000\n", Verdict::Fail),
                ("CapEff:\t000000c000000000\n", Verdict::Fail),
                ("CapEff:\t0000008000001000\n", Verdict::Fail),
                ("CapEff:\t0000000000000000\n", Verdict::Fail),
                ("", Verdict::Fail),
            ],
        );
    }

    #[test]
    fn the_command_names_what_is_missing() {
        let check = capabilities("CapEff:\t0000000000001000\n").to_string();
        assert!(check.contains("lacks CAP_BPF, CAP_PERFMON"), "{check}");
    }

    #[test]
    fn a_bpf_file_system_elsewhere_does_not_count() {
        all(
            bpffs,
            &[
                (
                    "proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw,mode=700 0 0",
                    Verdict::Ok,
                ),
                ("bpf /run/bpf bpf rw 0 0", Verdict::Warn),
                ("tmpfs /sys/fs/bpf tmpfs rw 0 0", Verdict::Warn),
                ("", Verdict::Warn),
            ],
        );
    }

    #[test]
    fn programs_of_anybody_are_a_warning() {
        all(
            unprivileged,
            &[("0", Verdict::Warn), ("1", Verdict::Ok), ("2", Verdict::Ok)],
        );
    }
}
