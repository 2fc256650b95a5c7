//! Who leads among several sources that speak.

use crate::voice::VoiceReport;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A challenger must be louder than the speaker by this many dB ...
const LEAD: u8 = 6;
/// ... for this long, unless the speaker has stopped.
const CHALLENGE: Duration = Duration::from_millis(400);
/// Sources that are watched at most.
const MAX_SOURCES: usize = 256;

/// Who leads among several sources, slow enough that a cough does not switch the picture.
#[derive(Clone, Debug)]
pub struct ActiveSpeaker<Id> {
    reports: BTreeMap<Id, VoiceReport>,
    active: Option<Id>,
    challenger: Option<(Id, Instant)>,
}

impl<Id: Copy + Ord> Default for ActiveSpeaker<Id> {
    fn default() -> Self {
        Self {
            reports: BTreeMap::new(),
            active: None,
            challenger: None,
        }
    }
}

impl<Id: Copy + Ord> ActiveSpeaker<Id> {
    /// News of one source; returns the new speaker if it changed.
    pub fn update(&mut self, now: Instant, source: Id, report: VoiceReport) -> Option<Id> {
        if self.reports.len() < MAX_SOURCES || self.reports.contains_key(&source) {
            self.reports.insert(source, report);
        }
        self.settle(now)
    }

    /// The source is gone. The last speaker stays in place until somebody else speaks.
    pub fn remove(&mut self, source: Id) {
        self.reports.remove(&source);
        self.active = self.active.filter(|active| *active != source);
        self.challenger = self.challenger.filter(|(id, _)| *id != source);
    }

    /// The last one who led.
    #[must_use]
    pub const fn active(&self) -> Option<Id> {
        self.active
    }

    fn settle(&mut self, now: Instant) -> Option<Id> {
        let (id, level) = self.loudest()?;
        if self.active == Some(id) {
            self.challenger = None;
            return None;
        }
        if let Some(active) = self.speaking_level() {
            if active < level.saturating_add(LEAD) {
                self.challenger = None;
                return None;
            }
            let since = self
                .challenger
                .filter(|(who, _)| *who == id)
                .map_or(now, |(_, at)| at);
            self.challenger = Some((id, since));
            if now.saturating_duration_since(since) < CHALLENGE {
                return None;
            }
        }
        self.challenger = None;
        self.active = Some(id);
        self.active
    }

    fn loudest(&self) -> Option<(Id, u8)> {
        let speaking = self.reports.iter().filter(|(_, report)| report.speaking);
        speaking
            .map(|(id, report)| (*id, report.level))
            .min_by_key(|(_, level)| *level)
    }

    fn speaking_level(&self) -> Option<u8> {
        let report = self.reports.get(&self.active?)?;
        report.speaking.then_some(report.level)
    }
}

#[cfg(test)]
mod tests {
    use super::ActiveSpeaker;
    use crate::voice::VoiceReport;
    use std::time::{Duration, Instant};

    fn speech(level: u8) -> VoiceReport {
        VoiceReport {
            level,
            speaking: true,
        }
    }

    #[test]
    fn a_cough_does_not_take_the_floor_but_a_clear_lead_does() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut speaker = ActiveSpeaker::default();
        assert_eq!(speaker.update(at(0), 'a', speech(30)), Some('a'));
        assert_eq!(speaker.update(at(100), 'b', speech(10)), None);
        assert_eq!(
            speaker.update(
                at(300),
                'b',
                VoiceReport {
                    level: 80,
                    speaking: false
                }
            ),
            None
        );
        assert_eq!(speaker.update(at(1_000), 'b', speech(10)), None);
        assert_eq!(speaker.update(at(1_500), 'b', speech(10)), Some('b'));
    }

    #[test]
    fn a_little_louder_is_not_enough_and_silence_gives_way_at_once() {
        let start = Instant::now();
        let mut speaker = ActiveSpeaker::default();
        speaker.update(start, 1, speech(30));
        assert_eq!(
            speaker.update(start + Duration::from_secs(5), 2, speech(27)),
            None
        );
        let quiet = VoiceReport {
            level: 90,
            speaking: false,
        };
        assert_eq!(speaker.update(start + Duration::from_secs(6), 1, quiet), Some(2));
        speaker.remove(2);
        assert_eq!(speaker.active(), None);
    }
}
