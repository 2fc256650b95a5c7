//! How long an Opus packet sounds (RFC 6716 §3).

/// Opus counts time in samples at 48 kHz, whatever it was made from (RFC 7587 §4.1).
pub(crate) const RATE: u32 = 48_000;

/// RFC 6716 §3.2.5: the longest packet, 120 ms.
const LONGEST: u32 = RATE * 120 / 1000;

/// Samples at 48 kHz in a packet; `None` for what is no packet.
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let (toc, rest) = packet.split_first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    let samples = frames * frame_samples(toc >> 3);
    (1..=LONGEST).contains(&samples).then_some(samples)
}

/// Table 2: 32 configurations of mode, bandwidth and frame size.
const fn frame_samples(configuration: u8) -> u32 {
    let ms = RATE / 1000;
    match configuration {
        // SILK: 10, 20, 40 and 60 ms.
        0..=11 => match configuration % 4 {
            0 => 10 * ms,
            1 => 20 * ms,
            2 => 40 * ms,
            _ => 60 * ms,
        },
        // Hybrid: 10 and 20 ms.
        12..=15 => 10 * ms * (1 + configuration as u32 % 2),
        // CELT: 2.5, 5, 10 and 20 ms.
        _ => (5 * ms / 2) << (configuration % 4),
    }
}

#[cfg(test)]
mod tests {
    use super::packet_samples;

    #[test]
    fn every_way_to_say_20_ms_is_960_samples() {
        let silk_20 = 1 << 3;
        let celt_20 = 31 << 3;
        let celt_10_twice = 30 << 3 | 1;
        let celt_5_four_times = [29 << 3 | 3, 4];
        for packet in [
            &[silk_20][..],
            &[13 << 3],
            &[celt_20],
            &[celt_10_twice],
            &celt_5_four_times,
        ] {
            assert_eq!(packet_samples(packet), Some(960), "{packet:02x?}");
        }
        assert_eq!(packet_samples(&[3 << 3]), Some(2880));
        assert_eq!(packet_samples(&[28 << 3]), Some(120));
    }

    #[test]
    fn what_is_no_packet_has_no_length() {
        assert_eq!(packet_samples(&[]), None);
        assert_eq!(
            packet_samples(&[31 << 3 | 3]),
            None,
            "the number of frames is missing"
        );
        assert_eq!(packet_samples(&[31 << 3 | 3, 0]), None, "no frames");
        assert_eq!(packet_samples(&[31 << 3 | 3, 7]), None, "140 ms");
    }
}
