//! What is known of the ways to peers: asked for once, and again when something may have changed.

use lianmai_kernel::FrameHeader;
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Questions between two calls of [`Routes::begin`]: each takes some 20 us of the media thread.
const QUESTIONS: usize = 32;

/// What was not asked for again after this long is, even if nothing was heard of a change.
const TRUSTED_FOR: Duration = Duration::from_secs(10);

/// Peers that are remembered; beyond that all are forgotten and asked for again.
const MOST: usize = 16_384;

/// Answers by peer.
#[derive(Default)]
pub(crate) struct Routes {
    known: FxHashMap<SocketAddr, Answer>,
    /// Goes up whenever answers may have changed.
    version: u64,
    renewed_at: Option<Instant>,
    asked: usize,
}

#[derive(Clone, Copy)]
struct Answer {
    version: u64,
    header: Option<FrameHeader>,
}

impl Routes {
    /// Time went on, and perhaps something changed.
    pub(crate) fn begin(&mut self, now: Instant, is_new: bool) {
        let is_old = self
            .renewed_at
            .is_none_or(|at| now.saturating_duration_since(at) >= TRUSTED_FOR);
        if is_new || is_old {
            self.version += 1;
            self.renewed_at = Some(now);
        }
        self.asked = 0;
    }

    /// How frames to a peer begin. While there are too many questions, what was true before is the answer.
    pub(crate) fn get(
        &mut self,
        remote: SocketAddr,
        ask: impl FnOnce() -> Option<FrameHeader>,
    ) -> Option<FrameHeader> {
        let known = self.known.get(&remote).copied();
        let is_current = known.is_some_and(|known| known.version == self.version);
        if is_current || self.asked >= QUESTIONS {
            return known?.header;
        }
        self.asked += 1;
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let answer = Answer {
            version: self.version,
            header: ask(),
        };
        self.known.insert(remote, answer);
        answer.header
    }
}

#[cfg(test)]
mod tests {
    use super::{QUESTIONS, Routes, TRUSTED_FOR};
    use lianmai_kernel::{Ethernet, FrameHeader, MacAddress};
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn header(last: u8) -> Option<FrameHeader> {
        let ethernet = Ethernet {
            to: MacAddress([2, 0, 0, 0, 0, last]),
            from: MacAddress([2; 6]),
        };
        FrameHeader::new(ethernet, SocketAddr::from(([192, 0, 2, 9], 8_444)), peer(1))
    }

    #[test]
    fn an_answer_holds_until_something_changes() {
        let (mut routes, now) = (Routes::default(), Instant::now());
        routes.begin(now, true);
        assert_eq!(routes.get(peer(1), || header(1)), header(1));
        routes.begin(now + Duration::from_secs(1), false);
        assert_eq!(routes.get(peer(1), || panic!("it is known")), header(1));
        routes.begin(now + Duration::from_secs(2), true);
        assert_eq!(routes.get(peer(1), || None), None);
        assert_eq!(
            routes.get(peer(1), || panic!("it is known that there is none")),
            None
        );
    }

    #[test]
    fn an_answer_is_not_trusted_for_ever() {
        let (mut routes, now) = (Routes::default(), Instant::now());
        routes.begin(now, true);
        assert_eq!(routes.get(peer(1), || None), None);
        routes.begin(now + TRUSTED_FOR, false);
        assert_eq!(routes.get(peer(1), || header(2)), header(2));
    }

    #[test]
    fn many_questions_take_their_turns_and_old_answers_serve_meanwhile() {
        let (mut routes, now) = (Routes::default(), Instant::now());
        let peers = 2 * QUESTIONS as u16;
        for _ in 0..2 {
            routes.begin(now, false);
            (0..peers).for_each(|port| _ = routes.get(peer(port), || header(1)));
        }
        routes.begin(now, true);
        let renewed = (0..peers).filter(|port| routes.get(peer(*port), || header(2)) == header(2));
        assert_eq!(renewed.count(), QUESTIONS);
        assert_eq!(routes.get(peer(peers - 1), || None), header(1), "true before");
        routes.begin(now, false);
        assert!((0..peers).all(|port| routes.get(peer(port), || header(2)) == header(2)));
    }
}
