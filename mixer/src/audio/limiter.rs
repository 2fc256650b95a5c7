//! Soft limiting: what is quiet enough stays as it is, what is louder bends towards full scale.

/// Up to here a sample is not touched (-1.9 dB of full scale).
pub(super) const KNEE: f32 = 0.8;

/// Bends samples beyond [`KNEE`] so that none exceeds full scale. The curve and its slope are continuous.
pub(super) fn limit(samples: &mut [f32]) {
    for sample in samples {
        if sample.abs() > KNEE {
            *sample = bend(*sample);
        }
    }
}

/// 16-bit samples of limited ones.
pub(super) fn to_i16(samples: &[f32], out: &mut [i16]) {
    for (sample, out) in samples.iter().zip(out) {
        *out = (sample * f32::from(i16::MAX)).round() as i16;
    }
}

fn bend(sample: f32) -> f32 {
    const ROOM: f32 = 1.0 - KNEE;
    let over = (sample.abs() - KNEE) / ROOM;
    (KNEE + ROOM * over.tanh()).min(1.0).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::{KNEE, limit, to_i16};

    #[test]
    fn below_the_knee_every_bit_stays() {
        let before: Vec<f32> = (-800..=800).map(|step| step as f32 / 1000.0).collect();
        let mut after = before.clone();
        limit(&mut after);
        assert!(before.iter().zip(&after).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn no_sum_of_nine_full_scale_hosts_exceeds_full_scale() {
        let mut samples: Vec<f32> = (-9000..=9000).map(|step| step as f32 / 1000.0).collect();
        limit(&mut samples);
        assert!(samples.iter().all(|sample| sample.abs() <= 1.0));
        let mut pcm = vec![0; samples.len()];
        to_i16(&samples, &mut pcm);
        assert_eq!((pcm[0], pcm[18_000]), (-i16::MAX, i16::MAX));
    }

    #[test]
    fn louder_stays_louder_and_the_knee_has_no_step() {
        let mut samples: Vec<f32> = (0..=1500).map(|step| step as f32 / 1000.0).collect();
        limit(&mut samples);
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[1] >= pair[0] && pair[1] - pair[0] < 0.0011)
        );
        assert!(samples[1500] > KNEE);
    }

    #[test]
    fn infinities_from_a_broken_decoder_stay_in_range() {
        let mut samples = [f32::INFINITY, f32::NEG_INFINITY];
        limit(&mut samples);
        assert_eq!(samples, [1.0, -1.0]);
    }
}
