//! A sender's RTCP, one track at a time: receivers of one stream must not see the reports of another.

use crate::ingest::parts;
use lianmai_fanout::Ssrc;

/// Sender report, source description, goodbye (RFC 3550 §6.4.1, §6.5, §6.6): what is about the sender's own stream.
const KINDS: [u8; 3] = [200, 202, 203];

/// The parts of a compound packet that are about the stream `ssrc`; nothing if there is no report of it among them, since a compound
/// begins with one (RFC 3550 §6.1).
pub(super) fn of_stream(compound: &[u8], ssrc: Ssrc) -> Option<Vec<u8>> {
    let wanted = |part: &&[u8]| {
        let about = part.get(4..8).map(|bytes| bytes == ssrc.0.to_be_bytes());
        KINDS.contains(&part[1]) && about == Some(true)
    };
    let kept: Vec<&[u8]> = parts(compound).filter(wanted).collect();
    let report = kept.first().is_some_and(|part| part[1] == KINDS[0]);
    report.then(|| kept.concat())
}

#[cfg(test)]
mod tests {
    use super::of_stream;
    use lianmai_fanout::Ssrc;
    use proptest::prelude::{any, proptest};
    use proptest::{collection, prop_assert};

    fn part(kind: u8, ssrc: u32, words: u16) -> Vec<u8> {
        let mut part = vec![0x81, kind];
        part.extend(words.to_be_bytes());
        part.extend(ssrc.to_be_bytes());
        part.resize(usize::from(words + 1) * 4, 7);
        part
    }

    #[test]
    fn a_compound_of_two_streams_is_taken_apart() {
        let (one, two) = (
            [part(200, 1, 6), part(202, 1, 2)],
            [part(200, 2, 6), part(202, 2, 2)],
        );
        let feedback = part(206, 1, 2);
        let compound = [one.concat(), feedback, two.concat()].concat();
        assert_eq!(of_stream(&compound, Ssrc(1)), Some(one.concat()));
        assert_eq!(of_stream(&compound, Ssrc(2)), Some(two.concat()));
        assert_eq!(of_stream(&compound, Ssrc(3)), None);
    }

    #[test]
    fn without_a_report_there_is_nothing_to_say() {
        assert_eq!(of_stream(&part(202, 1, 2), Ssrc(1)), None);
        assert_eq!(of_stream(&[], Ssrc(1)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(noise in collection::vec(any::<u8>(), 0..200), at in 0_usize..60, value in any::<u8>()) {
            let mut compound = [part(200, 1, 6), part(202, 1, 2), noise].concat();
            let at = at % compound.len();
            compound[at] = value;
            let len = of_stream(&compound, Ssrc(1)).map_or(0, |kept| kept.len());
            prop_assert!(len <= compound.len());
        }
    }
}
