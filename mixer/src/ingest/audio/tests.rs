//! What is left of speech when packets are lost, by signal-to-noise against the same packets without loss.

use super::{AudioTrack, Taken, Times};
use crate::audio::speech::voice;
use crate::audio::{CHANNELS, SAMPLE_RATE};
use lianmai_fanout::RtpPacket;
use lianmai_mixer_control::AudioSource;
use lianmai_timeline::{EdgeTime, RtpTimestamp, Span};

const FRAME: usize = 960;
const PACKETS: usize = 1_000;

/// How long after its capture sound is decoded.
const DELAY: Span = Span::from_millis(100);

fn encoder(redundancy: bool) -> opus::Encoder {
    let mut encoder =
        opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Voip).expect("an encoder");
    encoder.set_inband_fec(redundancy).expect("known");
    encoder.set_packet_loss_perc(20).expect("known");
    encoder.set_bitrate(opus::Bitrate::Bits(40_000)).expect("known");
    encoder
}

/// Twenty seconds of speech, a packet each 20 ms.
fn packets(encoder: &mut opus::Encoder) -> Vec<Vec<u8>> {
    let sound = |packet: usize, sample: usize| voice(131.0, 0.2, (packet * FRAME + sample / CHANNELS) as i64);
    (0..PACKETS)
        .map(|packet| {
            let samples: Vec<f32> = (0..FRAME * CHANNELS)
                .map(|sample| sound(packet, sample))
                .collect();
            encoder.encode_vec_float(&samples, 1275).expect("encodes")
        })
        .collect()
}

fn rtp(index: usize, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend((index as u16).to_be_bytes());
    packet.extend(((index * FRAME) as u32).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

fn at(index: usize) -> EdgeTime {
    EdgeTime(0) + Span::from_millis(20 * index as i64)
}

fn times(timestamp: RtpTimestamp) -> Option<Times> {
    let captured = at(0) + Span::from_ticks(i64::from(timestamp.0), i64::from(SAMPLE_RATE));
    Some(Times {
        captured,
        deadline: captured + DELAY,
    })
}

/// One channel of what the track makes of the packets that arrive, and what it made up, in frames.
fn heard(packets: &[Vec<u8>], arrives: impl Fn(usize) -> bool) -> (Vec<f32>, u64) {
    let mut track = AudioTrack::new(AudioSource { payload_type: 111 }).expect("a decoder");
    let mut sound = vec![0.0; PACKETS * FRAME];
    let mut take = |taken: Taken<'_>, captured: EdgeTime| {
        let Taken::Sound(pcm) = taken else { return };
        assert_eq!(
            captured,
            at(0) + Span::from_ticks(pcm.position, i64::from(SAMPLE_RATE))
        );
        let start = usize::try_from(pcm.position).expect("not before the first");
        for (index, frame) in pcm.samples.chunks_exact(CHANNELS).enumerate() {
            sound[start + index] = frame[0];
        }
    };
    for (index, payload) in packets.iter().enumerate() {
        if arrives(index) {
            let packet = rtp(index, payload);
            track
                .push(&RtpPacket::parse(&packet).expect("RTP"))
                .expect("a decoder");
        }
        track.drain(at(index + 1), times, &mut take);
    }
    track.drain(at(PACKETS + 10), times, &mut take);
    (sound, track.totals().concealed)
}

/// Signal to noise in dB over the packets that did not arrive: 0 is what silence has.
fn quality(packets: &[Vec<u8>], arrives: impl Fn(usize) -> bool) -> f64 {
    let (whole, none) = heard(packets, |_| true);
    let (holey, concealed) = heard(packets, &arrives);
    assert_eq!(none, 0);
    assert!(concealed > 0);
    let (mut signal, mut noise) = (0.0, 0.0);
    for index in (50..PACKETS).filter(|index| !arrives(*index)) {
        for frame in index * FRAME..(index + 1) * FRAME {
            signal += f64::from(whole[frame]).powi(2);
            noise += f64::from(whole[frame] - holey[frame]).powi(2);
        }
    }
    10.0 * (signal / noise).log10()
}

#[test]
fn a_lost_packet_is_heard_from_the_redundancy_of_the_next_or_made_up() {
    let (redundant, plain) = (packets(&mut encoder(true)), packets(&mut encoder(false)));
    let every_tenth = |index: usize| index % 10 != 7;
    let (rebuilt, made_up) = (quality(&redundant, every_tenth), quality(&plain, every_tenth));
    println!("one of ten packets lost: {rebuilt:.1} dB with redundancy, {made_up:.1} dB without");
    assert!(made_up > 2.0, "concealment: {made_up} dB");
    assert!(rebuilt > made_up + 3.0, "redundancy: {rebuilt} dB");
}

#[test]
fn bursts_are_concealed_better_than_by_silence() {
    let redundant = packets(&mut encoder(true));
    for burst in [2, 3] {
        let quality = quality(&redundant, |index| index % 25 >= burst);
        println!("{burst} of 25 packets lost in a row: {quality:.1} dB");
        assert!(quality > 1.5, "{burst} in a row: {quality} dB");
    }
}

#[test]
fn packets_that_come_late_but_in_time_are_not_made_up() {
    let packets = packets(&mut encoder(true));
    let mut track = AudioTrack::new(AudioSource { payload_type: 111 }).expect("a decoder");
    // Each pair comes the wrong way round, 40 ms late.
    for index in (0..100).flat_map(|pair| [2 * pair + 1, 2 * pair]) {
        let packet = rtp(index, &packets[index]);
        track
            .push(&RtpPacket::parse(&packet).expect("RTP"))
            .expect("a decoder");
        track.drain(at(index + 2), times, |_, _| {});
    }
    assert_eq!((track.totals().lost, track.totals().concealed), (0, 0));
}

#[test]
fn pauses_of_dtx_are_silence_and_not_loss() {
    let mut encoder = encoder(true);
    encoder.set_dtx(true).expect("known");
    let talk = packets(&mut encoder);
    // What holds nothing but a table of contents is not sent (RFC 7587 §3.1.3).
    let is_sent = |index: usize| talk[index].len() > 2;
    let silent = (0..PACKETS).filter(|index| !is_sent(*index)).count();
    assert!(silent > 50, "{silent} packets of silence");
    let mut track = AudioTrack::new(AudioSource { payload_type: 111 }).expect("a decoder");
    let mut made = 0;
    for (sequence, index) in (0..PACKETS).filter(|index| is_sent(*index)).enumerate() {
        let mut packet = rtp(index, &talk[index]);
        packet[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
        track
            .push(&RtpPacket::parse(&packet).expect("RTP"))
            .expect("a decoder");
        track.drain(at(index + 1), times, |taken, _| {
            if let Taken::Sound(pcm) = taken {
                made += pcm.samples.len() / CHANNELS;
            }
        });
    }
    assert_eq!(track.totals(), super::Totals::default());
    assert_eq!(made, (PACKETS - silent) * FRAME);
}
