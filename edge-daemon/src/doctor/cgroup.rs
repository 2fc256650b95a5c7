//! The memory limit of the control group that this process is in, and of those above it.

use std::path::Path;

/// The least of them, in bytes.
pub(super) fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(place).flat_map(|(root, file, group)| {
        let group = group.trim_start_matches('/');
        let folders = Path::new(group).ancestors();
        folders.filter_map(move |folder| {
            std::fs::read_to_string(Path::new(root).join(folder).join(file))
                .ok()
                .and_then(|text| limit(&text))
        })
    });
    limits.min()
}

/// Where the limits of a line of /proc/self/cgroup stand: `0::/GROUP` in version 2, `4:memory:/GROUP` in version 1.
fn place(line: &str) -> Option<(&'static str, &'static str, &str)> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
    match (number, controllers) {
        ("0", "") => Some(("/sys/fs/cgroup", "memory.max", group)),
        (_, controllers) if controllers.split(',').any(|controller| controller == "memory") => {
            Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", group))
        }
        _ => None,
    }
}

/// Version 2 says `max` where there is none, version 1 a number of which nobody has so many bytes.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::{limit, place};

    #[test]
    fn both_versions_have_their_place() {
        assert_eq!(
            place("0::/system.slice/x"),
            Some(("/sys/fs/cgroup", "memory.max", "/system.slice/x"))
        );
        let version_1 = Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "/a:b"));
        assert_eq!(place("4:memory:/a:b"), version_1);
        assert_eq!(
            (place("3:cpu,cpuacct:/x"), place("9:name=systemd:/"), place("")),
            (None, None, None)
        );
    }

    #[test]
    fn no_limit_is_none() {
        assert_eq!(
            ["max\n", "9223372036854771712\n", "", "536870912\n"].map(limit),
            [None, None, None, Some(1 << 29)]
        );
    }
}
