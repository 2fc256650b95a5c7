//! What an attacker on the path may try.

use super::{MAX_STREAMS, NotSealed, Opener, Refused, Sealer};
use lianmai_fanout::RtpHeader;
use lianmai_webrtc::{MasterKey, SrtpKeys, SrtpProfile};

const PROFILES: [SrtpProfile; 2] = [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];

fn keys(profile: SrtpProfile) -> SrtpKeys {
    let (key_len, salt_len) = profile.key_and_salt_len();
    let master = MasterKey {
        key: vec![7; key_len],
        salt: vec![9; salt_len],
    };
    SrtpKeys {
        profile,
        inbound: master.clone(),
        outbound: master,
    }
}

fn pair(profile: SrtpProfile) -> (Sealer, Opener) {
    let keys = keys(profile);
    (
        Sealer::new(&keys).expect("keys"),
        Opener::new(&keys).expect("keys"),
    )
}

fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 0];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(b"payload");
    packet
}

fn seal(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
    sealer
        .seal_rtp(packet, &RtpHeader::parse(packet).expect("RTP"))
        .expect("sealed")
        .to_vec()
}

fn open(opener: &mut Opener, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let header = RtpHeader::parse(packet).expect("RTP");
    opener
        .open_rtp(packet, &header)
        .map(|opened| opened.bytes().to_vec())
}

/// A receiver report without blocks.
fn report(sender: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1], sender.to_be_bytes().as_slice()].concat()
}

#[test]
fn one_flipped_bit_anywhere_is_a_forgery() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = seal(&mut sealer, &packet(1, 5));
        for at in 12..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(
                open(&mut opener, &forged),
                Err(Refused::Forged),
                "{profile:?} byte {at}"
            );
        }
        assert_eq!(
            open(&mut opener, &sealed),
            Ok(packet(1, 5)),
            "a forgery before does not stop the original"
        );
    }
}

#[test]
fn a_replay_is_refused_and_a_late_packet_is_not() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let sealed: Vec<_> = [65_534, 65_535, 0, 1]
            .map(|sequence| seal(&mut sealer, &packet(1, sequence)))
            .into();
        for place in [0, 3, 1, 2] {
            assert!(open(&mut opener, &sealed[place]).is_ok(), "{profile:?} {place}");
        }
        for sealed in &sealed {
            assert_eq!(open(&mut opener, sealed), Err(Refused::Replayed), "{profile:?}");
        }
    }
}

/// RFC 3711 §3.3.2: a packet older than the window cannot be told from a replay.
#[test]
fn a_packet_behind_the_window_is_refused() {
    let (mut sealer, mut opener) = pair(SrtpProfile::AeadAes128Gcm);
    let sealed: Vec<_> = (0..1_100)
        .map(|sequence| seal(&mut sealer, &packet(1, sequence)))
        .collect();
    assert!(open(&mut opener, &sealed[0]).is_ok() && open(&mut opener, &sealed[1_099]).is_ok());
    assert_eq!(open(&mut opener, &sealed[75]), Err(Refused::Replayed));
    assert!(open(&mut opener, &sealed[76]).is_ok());
}

#[test]
fn forged_ssrcs_leave_nothing_behind() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for ssrc in 0..1_000 {
            let mut forged = seal(&mut sealer, &packet(ssrc, 5));
            forged[20] ^= 1;
            assert_eq!(open(&mut opener, &forged), Err(Refused::Forged));
            let mut forged = sealer.seal_rtcp(&report(ssrc)).expect("sealed").to_vec();
            forged[9] ^= 1;
            assert_eq!(opener.open_rtcp(&forged).err(), Some(Refused::Forged));
        }
        assert!(opener.streams.is_empty());
    }
}

#[test]
fn a_peer_has_a_bounded_number_of_streams() {
    let (mut sealer, mut opener) = pair(SrtpProfile::AeadAes128Gcm);
    for ssrc in 0..MAX_STREAMS as u32 {
        assert!(open(&mut opener, &seal(&mut sealer, &packet(ssrc, 5))).is_ok());
    }
    assert_eq!(
        open(&mut opener, &seal(&mut sealer, &packet(99, 5))),
        Err(Refused::TooManyStreams)
    );
    assert!(
        open(&mut opener, &seal(&mut sealer, &packet(3, 6))).is_ok(),
        "the others go on"
    );
}

#[test]
fn srtcp_is_opened_once() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = sealer.seal_rtcp(&report(1)).expect("sealed");
        assert_eq!(opener.open_rtcp(&sealed).expect("opened").bytes()[..], report(1));
        assert_eq!(opener.open_rtcp(&sealed).err(), Some(Refused::Replayed));
    }
}

/// A cleared E bit says that nothing is encrypted; the AES-CM context of the crate would then not check the tag.
#[test]
fn srtcp_in_the_clear_is_refused_even_with_a_tag() {
    for profile in PROFILES {
        let (_, mut opener) = pair(profile);
        let clear = [report(1), vec![0; 40]].concat();
        assert_eq!(
            opener.open_rtcp(&clear).err(),
            Some(Refused::Unencrypted),
            "{profile:?}"
        );
    }
}

#[test]
fn every_length_of_junk_is_refused_without_a_panic() {
    for profile in PROFILES {
        let (_, mut opener) = pair(profile);
        for fill in [0x00, 0x7f, 0xff] {
            for len in 0..200 {
                let mut junk = vec![fill; len];
                junk.iter_mut()
                    .zip([0x80, 201, 0, 1])
                    .for_each(|(byte, with)| *byte = with);
                assert!(opener.open_rtcp(&junk).is_err(), "RTCP of {len} bytes");
                if let Ok(header) = RtpHeader::parse(&junk) {
                    assert!(opener.open_rtp(&junk, &header).is_err(), "RTP of {len} bytes");
                }
            }
        }
    }
}

/// DESIGN §3, invariant 2.
#[test]
fn one_ssrc_and_index_is_sealed_once() {
    let (mut sealer, _) = pair(SrtpProfile::AeadAes128Gcm);
    let first = packet(1, 100);
    let header = RtpHeader::parse(&first).expect("RTP");
    assert!(sealer.seal_rtp(&first, &header).is_ok());
    assert_eq!(
        sealer.seal_rtp(&first, &header).err(),
        Some(NotSealed::AlreadySealed)
    );
    let older = packet(1, 65_000);
    let header = RtpHeader::parse(&older).expect("RTP");
    assert_eq!(
        sealer.seal_rtp(&older, &header).err(),
        Some(NotSealed::AlreadySealed),
        "before the first packet"
    );
}

#[test]
fn keys_of_a_wrong_length_are_an_error() {
    let mut wrong = keys(SrtpProfile::AeadAes128Gcm);
    wrong.inbound.salt.push(0);
    assert!(Opener::new(&wrong).is_err());
    wrong.outbound.key.pop();
    assert!(Sealer::new(&wrong).is_err());
}
