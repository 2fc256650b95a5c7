//! What `ethtool` would show, by the generic netlink family behind it.

use super::netlink::{Attributes, ask_generic, attribute, zero_ended};
use std::collections::BTreeMap;

/// As `ethtool -l` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queues {
    pub(super) receive: u32,
    pub(super) most: u32,
    /// `ethtool -L` calls them combined rather than rx.
    pub(super) combined: bool,
}

/// As `ethtool -k` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offload {
    pub(super) on: bool,
    pub(super) fixed: bool,
}

pub(super) fn queues(name: &str) -> Option<Queues> {
    const CHANNELS_GET: u8 = 17;
    const RX_MAX: u16 = 2;
    const COMBINED_MAX: u16 = 5;
    const RX: u16 = 6;
    const COMBINED: u16 = 9;
    let answer = ask_generic("ethtool", CHANNELS_GET, &ethtool_header(name)).ok()?;
    let word = |kind| answer.attributes().word(kind).unwrap_or_default();
    let combined = word(COMBINED_MAX) > 0;
    Some(Queues {
        receive: word(RX) + word(COMBINED),
        most: if combined {
            word(COMBINED_MAX)
        } else {
            word(RX_MAX)
        },
        combined,
    })
}

pub(super) fn offloads(name: &str) -> BTreeMap<String, Offload> {
    const FEATURES_GET: u8 = 11;
    const CHANGEABLE: u16 = 2;
    const ACTIVE: u16 = 4;
    const NEVER: u16 = 5;
    let Ok(answer) = ask_generic("ethtool", FEATURES_GET, &ethtool_header(name)) else {
        return BTreeMap::new();
    };
    let set = |kind| names_in(answer.attributes().nested(kind));
    let (changeable, active, never) = (set(CHANGEABLE), set(ACTIVE), set(NEVER));
    let offload = |name: &String| Offload {
        on: active.contains(name),
        fixed: never.contains(name) || !changeable.contains(name),
    };
    changeable
        .iter()
        .chain(&active)
        .map(|name| (name.clone(), offload(name)))
        .collect()
}

/// The names that are set in a bit set of ethtool (Documentation/networking/ethtool-netlink.rst, "Bit sets"). Without a
/// mask every name listed is set; with one, those with the flag are.
fn names_in(bit_set: Attributes<'_>) -> Vec<String> {
    const NO_MASK: u16 = 1;
    const BITS: u16 = 3;
    const NAME: u16 = 2;
    const VALUE: u16 = 3;
    let all = bit_set.find(NO_MASK).is_some();
    let bits = bit_set.nested(BITS).map(|(_, bit)| Attributes(bit));
    let chosen = bits.filter(|bit| all || bit.find(VALUE).is_some());
    chosen.filter_map(|bit| bit.text(NAME)).collect()
}

fn ethtool_header(name: &str) -> Vec<u8> {
    const HEADER: u16 = 1;
    const DEV_NAME: u16 = 2;
    const NESTED: u16 = 0x8000;
    attribute(HEADER | NESTED, &attribute(DEV_NAME, &zero_ended(name)))
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{Attributes, attribute};
    use super::names_in;

    fn bit(name: &str, set: bool) -> Vec<u8> {
        let mut bit = attribute(2, name.as_bytes());
        if set {
            bit.extend(attribute(3, &[]));
        }
        attribute(1, &bit)
    }

    #[test]
    fn a_bit_set_with_a_mask_names_what_is_set_and_one_without_names_what_is_listed() {
        let bits = attribute(3, &[bit("rx-gro\0", true), bit("rx-lro\0", false)].concat());
        assert_eq!(names_in(Attributes(&bits)), ["rx-gro"]);
        let listed = [attribute(1, &[]), bits].concat();
        assert_eq!(names_in(Attributes(&listed)), ["rx-gro", "rx-lro"]);
    }
}
