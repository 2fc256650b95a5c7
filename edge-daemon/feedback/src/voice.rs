//! Whether a source speaks, and how loud: the levels of RFC 6464, smoothed.

use std::time::{Duration, Instant};

/// A change of voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoiceReport {
    /// Smoothed, in -dBov: 0 is loudest, 127 is silence.
    pub level: u8,
    /// Whether this counts as speech.
    pub speaking: bool,
}

/// Silence in -dBov (RFC 6464 §3).
const SILENCE: u8 = 127;
/// Louder than this begins speech.
const SPEECH_BEGINS: f32 = 50.0;
/// Softer than this, for [`SPEECH_LASTS`], ends it.
const SPEECH_ENDS: f32 = 60.0;
/// Pauses between words are shorter than this.
const SPEECH_LASTS: Duration = Duration::from_millis(600);
/// How fast a rising and a falling level are followed.
const ATTACK: Duration = Duration::from_millis(60);
const RELEASE: Duration = Duration::from_millis(300);
/// A source that sends no level for this long (muted, or discontinuous transmission) is silent.
const ABSENT: Duration = Duration::from_millis(400);
/// Five reports a second.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// Smaller changes of level are no news.
const STEP: u8 = 3;

/// The smoothed level of one source.
#[derive(Clone, Debug)]
pub struct VoiceLevel {
    level: f32,
    heard_at: Option<Instant>,
    loud_at: Option<Instant>,
    speaking: bool,
    reported: VoiceReport,
    reported_at: Option<Instant>,
}

impl Default for VoiceLevel {
    fn default() -> Self {
        Self {
            level: f32::from(SILENCE),
            heard_at: None,
            loud_at: None,
            speaking: false,
            reported: VoiceReport {
                level: SILENCE,
                speaking: false,
            },
            reported_at: None,
        }
    }
}

impl VoiceLevel {
    /// A packet came with this level in -dBov.
    pub fn on_level(&mut self, now: Instant, level: u8) {
        let elapsed = self
            .heard_at
            .map_or(ATTACK, |at| now.saturating_duration_since(at));
        self.heard_at = Some(now);
        let level = f32::from(level.min(SILENCE));
        let constant = if level < self.level { ATTACK } else { RELEASE };
        let share = 1.0 - (-elapsed.as_secs_f32() / constant.as_secs_f32()).exp();
        self.level += share * (level - self.level);
        self.decide(now);
    }

    /// The news, if there are any and the last ones are old enough.
    pub fn poll(&mut self, now: Instant) -> Option<VoiceReport> {
        self.fade(now);
        let news = self.news()?;
        if self
            .reported_at
            .is_some_and(|at| now.saturating_duration_since(at) < REPORT_INTERVAL)
        {
            return None;
        }
        self.reported = news;
        self.reported_at = Some(now);
        Some(news)
    }

    /// When `poll` may have news without another level.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let open = self.reported_at.map(|at| at + REPORT_INTERVAL);
        let absent = self.heard_at.map(|at| at + ABSENT);
        if self.news().is_some() {
            open.or(absent)
        } else {
            absent
        }
    }

    fn current(&self) -> VoiceReport {
        VoiceReport {
            level: self.level.round() as u8,
            speaking: self.speaking,
        }
    }

    fn news(&self) -> Option<VoiceReport> {
        let current = self.current();
        let moved = current.level.abs_diff(self.reported.level) >= STEP;
        let matters = moved && (current.speaking || current.level == SILENCE);
        (current.speaking != self.reported.speaking || matters).then_some(current)
    }

    fn decide(&mut self, now: Instant) {
        if self.level < SPEECH_BEGINS || (self.speaking && self.level < SPEECH_ENDS) {
            self.loud_at = Some(now);
            self.speaking = true;
        } else if self
            .loud_at
            .is_none_or(|at| now.saturating_duration_since(at) >= SPEECH_LASTS)
        {
            self.speaking = false;
        }
    }

    fn fade(&mut self, now: Instant) {
        if self
            .heard_at
            .is_some_and(|at| now.saturating_duration_since(at) >= ABSENT)
        {
            self.heard_at = None;
            self.loud_at = None;
            self.speaking = false;
            self.level = f32::from(SILENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{VoiceLevel, VoiceReport};
    use std::time::{Duration, Instant};

    fn feed(voice: &mut VoiceLevel, from: Instant, ms: u64, level: u8) -> Vec<VoiceReport> {
        let at = (0..ms).step_by(20).map(|ms| from + Duration::from_millis(ms));
        at.filter_map(|now| {
            voice.on_level(now, level);
            voice.poll(now)
        })
        .collect()
    }

    #[test]
    fn speech_is_noticed_within_a_fifth_of_a_second() {
        let mut voice = VoiceLevel::default();
        let reports = feed(&mut voice, Instant::now(), 400, 25);
        assert!(reports.iter().any(|report| report.speaking), "{reports:?}");
    }

    #[test]
    fn background_noise_is_no_news() {
        let mut voice = VoiceLevel::default();
        assert_eq!(feed(&mut voice, Instant::now(), 2_000, 75), []);
    }

    #[test]
    fn a_pause_between_words_does_not_end_speech_but_a_long_one_does() {
        let start = Instant::now();
        let mut voice = VoiceLevel::default();
        feed(&mut voice, start, 1_000, 20);
        let pause = feed(&mut voice, start + Duration::from_secs(1), 300, 110);
        assert!(pause.iter().all(|report| report.speaking), "{pause:?}");
        let silence = feed(&mut voice, start + Duration::from_millis(1_300), 1_500, 110);
        assert!(silence.iter().any(|report| !report.speaking), "{silence:?}");
    }

    #[test]
    fn at_most_five_reports_a_second_however_wild_the_level() {
        let start = Instant::now();
        let mut voice = VoiceLevel::default();
        let mut reports = 0;
        for packet in 0..500_u64 {
            let now = start + Duration::from_millis(packet * 20);
            voice.on_level(now, if (packet / 15) % 2 == 0 { 0 } else { 127 });
            reports += usize::from(voice.poll(now).is_some());
        }
        assert!((10..=51).contains(&reports), "{reports} in ten seconds");
    }

    #[test]
    fn a_source_that_falls_silent_without_a_packet_is_reported_by_time_alone() {
        let start = Instant::now();
        let mut voice = VoiceLevel::default();
        feed(&mut voice, start, 1_000, 20);
        let due = voice.next_timeout().expect("the silence has a time");
        assert!(due <= start + Duration::from_millis(1_400));
        let report = voice.poll(start + Duration::from_millis(1_400));
        assert_eq!(
            report,
            Some(VoiceReport {
                level: 127,
                speaking: false
            })
        );
        assert_eq!(voice.next_timeout(), None);
    }
}
