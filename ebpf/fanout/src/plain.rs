//! A frame to another address with its payload as it is: what a fan-out without crypto does for each leg.

use crate::checksum::{complement, fold, udp_complement};

/// The words of Ethernet, IPv4 and UDP headers.
pub const WORDS: usize = 21;
/// Those, and the two sums of [`crate::records::Leg::sums`].
pub const LEG_WORDS: usize = WORDS + 2;

/// The headers of frames to a leg, as words of this machine's order, lengths and checksums zero; behind them their sums.
pub type PlainLeg = [u16; LEG_WORDS];

const IP_LEN: usize = 8;
const IP_CHECKSUM: usize = 12;
const UDP_LEN: usize = 19;
const UDP_CHECKSUM: usize = 20;

/// Gives a frame the headers of the leg. The UDP checksum follows from the one it had (RFC 1624 §3), so the payload is not read.
#[inline(always)]
pub fn address_to(frame: &mut [u16; WORDS], leg: &PlainLeg) {
    let (ip_len, udp_len, checksum) = (frame[IP_LEN], frame[UDP_LEN], frame[UDP_CHECKSUM]);
    let old = pseudo_header(frame);
    let mut word = 0;
    while word < WORDS {
        frame[word] = leg[word];
        word += 1;
    }
    frame[IP_LEN] = ip_len;
    frame[IP_CHECKSUM] = complement(fold(u64::from(leg[WORDS]) + u64::from(ip_len)));
    frame[UDP_LEN] = udp_len;
    let sum = u64::from(!checksum) + u64::from(!fold(old)) + u64::from(leg[WORDS + 1]);
    frame[UDP_CHECKSUM] = udp_complement(fold(sum));
}

/// Addresses and ports, and the protocol behind a zero (RFC 768).
#[inline(always)]
fn pseudo_header(frame: &[u16; WORDS]) -> u64 {
    let mut sum = u64::from(u16::from_ne_bytes([0, 17]));
    let mut word = IP_CHECKSUM + 1;
    while word < UDP_LEN {
        sum += u64::from(frame[word]);
        word += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{LEG_WORDS, PlainLeg, WORDS, address_to};
    use crate::checksum::{complement, of_bytes, udp_complement};

    const PAYLOAD: [u8; 6] = [1, 2, 3, 4, 5, 250];

    fn headers(addresses: [u8; 8], ports: [u8; 4]) -> Vec<u8> {
        let udp_len = 8 + PAYLOAD.len() as u8;
        let fixed = [0x45, 0, 0, 20 + udp_len, 0, 0, 0x40, 0, 64, 17, 0, 0];
        [
            &[9; 12][..],
            &[8, 0],
            &fixed,
            &addresses,
            &ports,
            &[0, udp_len, 0, 0],
        ]
        .concat()
    }

    fn udp_checksum(headers: &[u8]) -> [u8; 2] {
        let parts = [
            &headers[26..34],
            &[0, 17],
            &headers[38..40],
            &headers[34..40],
            &PAYLOAD,
        ];
        udp_complement(of_bytes(&parts.concat())).to_ne_bytes()
    }

    fn words<const N: usize>(bytes: &[u8]) -> [u16; N] {
        let (pairs, _) = bytes.as_chunks::<2>();
        std::array::from_fn(|word| u16::from_ne_bytes(pairs[word]))
    }

    #[test]
    fn an_addressed_frame_has_the_checksums_of_one_that_was_made_for_the_leg() {
        let mut from = headers([192, 0, 2, 9, 192, 0, 2, 1], [0x13, 0x88, 0x20, 0xfc]);
        let checksum = udp_checksum(&from);
        from[40..].copy_from_slice(&checksum);
        let mut expected = headers([192, 0, 2, 1, 203, 0, 113, 77], [0x20, 0xfc, 0xff, 0xfe]);
        let mut leg: PlainLeg = [0; LEG_WORDS];
        let mut empty = expected.clone();
        empty[16..18].fill(0);
        empty[38..40].fill(0);
        leg[..WORDS].copy_from_slice(&words::<WORDS>(&empty));
        leg[WORDS] = of_bytes(&empty[14..34]);
        leg[WORDS + 1] = of_bytes(&[&empty[26..38], &[0, 17]].concat());
        let ip_checksum = complement(of_bytes(&expected[14..34])).to_ne_bytes();
        expected[24..26].copy_from_slice(&ip_checksum);
        let checksum = udp_checksum(&expected);
        expected[40..].copy_from_slice(&checksum);
        let mut frame = words::<WORDS>(&from);
        address_to(&mut frame, &leg);
        assert_eq!(frame, words::<WORDS>(&expected));
    }
}
