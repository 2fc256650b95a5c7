//! What is measured, in which order.

use crate::options::Options;
use crate::scenario::Scenario;

/// The fan of the figures that are compared: a room of four.
pub(crate) const LEGS_OF_FOUR: usize = 3;

/// The widest fan of one stream.
const MOST_LEGS: usize = 15;

/// A scenario and what is measured in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) scenario: Scenario,
    /// Under load as well as idle.
    pub(crate) busy: bool,
    /// The highest rate without loss.
    pub(crate) rate: bool,
}

/// All groups. Within a group the systems take turns.
pub(crate) fn groups(options: &Options) -> Vec<Group> {
    let fans = options.payload.iter().enumerate().flat_map(|(place, payload)| {
        let all = place == 0 || options.full;
        options
            .legs
            .iter()
            .filter(move |legs| all || **legs == LEGS_OF_FOUR)
            .map(|legs| Scenario::fan(*legs, *payload))
    });
    let fans = fans.map(|scenario| Group {
        scenario,
        busy: options.full || scenario.legs == LEGS_OF_FOUR,
        // Fans between say nothing that these two ends do not.
        rate: options.full || scenario.legs == LEGS_OF_FOUR || scenario.legs == MOST_LEGS,
    });
    let payloads = if options.full { options.payload.len() } else { 1 };
    let rooms = options.payload.iter().take(payloads).flat_map(|payload| {
        options.rooms.iter().map(|rooms| Group {
            scenario: Scenario::rooms_of_four(*rooms, *payload),
            busy: false,
            rate: false,
        })
    });
    fans.chain(rooms).collect()
}

#[cfg(test)]
mod tests {
    use super::groups;
    use crate::options::{Arguments, Options, Task};
    use clap::Parser;

    fn options(flags: &[&str]) -> Options {
        match Arguments::parse_from([&["lianmai-bench", "fanout"], flags].concat()).task {
            Task::Fanout(options) => options.settled(),
            Task::Mixer(_) | Task::Busy => unreachable!("fanout was said"),
        }
    }

    #[test]
    fn by_default_audio_is_measured_with_three_legs_only() {
        let groups = groups(&options(&[]));
        let audio: Vec<_> = groups
            .iter()
            .filter(|group| group.scenario.payload == 120)
            .collect();
        assert_eq!((groups.len(), audio.len(), audio[0].scenario.legs), (8, 1, 3));
    }

    #[test]
    fn rates_are_searched_for_at_both_ends_only() {
        let groups = groups(&options(&[]));
        let rates: Vec<_> = groups
            .iter()
            .filter(|group| group.rate)
            .map(|group| (group.scenario.legs, group.scenario.payload))
            .collect();
        assert_eq!(rates, [(3, 1150), (15, 1150), (3, 120)]);
    }

    #[test]
    fn every_latency_rests_on_twenty_thousand_packets() {
        let options = options(&[]);
        for group in groups(&options) {
            let time = options.latency_time(group.scenario);
            let packets = time.measured * options.pace * group.scenario.legs as f64;
            assert!(packets >= 19_999.0, "{}: {packets}", group.scenario);
        }
    }

    #[test]
    fn full_is_everything() {
        assert_eq!(groups(&options(&["--full"])).len(), 2 * (4 + 3));
    }

    #[test]
    fn quick_is_one_group() {
        assert_eq!(groups(&options(&["--quick"])).len(), 1);
    }
}
