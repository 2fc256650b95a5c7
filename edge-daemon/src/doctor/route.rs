//! Which interface leads out.

/// The interface of the default route: IPv4 before IPv6, the least metric first.
pub(super) fn default_interface() -> Option<String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    ipv4(&read("/proc/net/route")).or_else(|| ipv6(&read("/proc/net/ipv6_route")))
}

/// Interface, destination, gateway, flags, references, use, metric, mask.
fn ipv4(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (name, destination, metric, mask) =
            (fields.first()?, fields.get(1)?, fields.get(6)?, fields.get(7)?);
        let default = *destination == "00000000" && *mask == "00000000";
        default.then_some((metric.parse::<u32>().ok()?, (*name).to_owned()))
    });
    routes.min().map(|(_, name)| name)
}

/// Destination, its length, source, its length, next hop, metric, references, use, flags, interface. The kernel lists
/// the absence of a default route as one by the loopback interface.
fn ipv6(table: &str) -> Option<String> {
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (length, metric, name) = (fields.get(1)?, fields.get(5)?, fields.get(9)?);
        let default = *length == "00" && *name != "lo" && fields.first()?.bytes().all(|digit| digit == b'0');
        default.then_some((u32::from_str_radix(metric, 16).ok()?, (*name).to_owned()))
    });
    routes.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{ipv4, ipv6};

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn the_default_route_with_the_least_metric_wins() {
        let table = format!(
            "{HEAD}wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             lo0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(ipv4(&table).as_deref(), Some("eth0"));
    }

    #[test]
    fn a_machine_without_a_default_route_has_no_such_interface() {
        assert_eq!(ipv4(HEAD), None);
        assert_eq!(ipv4(""), None);
        let unreachable = format!(
            "{0} 00 {0} 00 {0} ffffffff 00000001 00000000 00200200       lo\n",
            "0".repeat(32)
        );
        assert_eq!(ipv6(&unreachable), None);
    }

    #[test]
    fn a_default_route_of_ipv6_serves_as_well() {
        let zeros = "0".repeat(32);
        let table = format!(
            "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000003 00000000 00450003     eth1\n"
        );
        assert_eq!(ipv6(&table).as_deref(), Some("eth1"));
    }
}
