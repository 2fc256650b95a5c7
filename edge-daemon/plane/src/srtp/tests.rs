//! What an attacker on the path may try.

use super::opener::MAX_STREAMS;
use super::{Book, NotSealed, Opener, PadRing, Refused, Sealer, TokenRing, context};
use bytes::Bytes;
use lianmai_fanout::records::Sealed;
use lianmai_fanout::{RtpHeader, SequenceNumber, Ssrc};
use lianmai_kernel::{Claim, Maps, Slot};
use lianmai_webrtc::{MasterKey, SrtpKeys, SrtpProfile};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use std::rc::Rc;

const PROFILES: [SrtpProfile; 2] = [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];

impl Sealer {
    /// Permission and seal in one.
    pub(crate) fn seal_rtp(&mut self, packet: &[u8], header: &RtpHeader) -> Result<Bytes, NotSealed> {
        let permit = self.permit(header)?;
        self.seal(permit, packet, header)
    }
}

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
        Sealer::new(&keys, Book::of_nobody()).expect("keys"),
        Opener::new(&keys, Book::of_nobody()).expect("keys"),
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
    assert!(Opener::new(&wrong, Book::of_nobody()).is_err());
    wrong.outbound.key.pop();
    assert!(Sealer::new(&wrong, Book::of_nobody()).is_err());
}

/// Ours and `webrtc-srtp` have nothing in common but the RFC.
#[test]
fn an_independent_peer_opens_what_we_seal_and_the_other_way_round_over_every_wrap() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let key = keys(profile).inbound;
        let mut their_sealer = context(profile, &key).expect("keys");
        let mut their_opener = context(profile, &key).expect("keys");
        // Over two wraps, in steps that are nowhere near the size of a window.
        for index in (40_000..180_000u32).step_by(97) {
            let plain = packet(1, index as u16);
            let ours = seal(&mut sealer, &plain);
            assert_eq!(
                their_opener.decrypt_rtp(&ours).expect("opened")[..],
                plain,
                "{profile:?} {index}"
            );
            let theirs = their_sealer.encrypt_rtp(&plain).expect("sealed");
            assert_eq!(theirs[..], ours, "{profile:?} {index}");
            assert_eq!(open(&mut opener, &theirs), Ok(plain), "{profile:?} {index}");
        }
    }
}

proptest! {
    #[test]
    fn an_independent_peer_opens_packets_of_any_shape_in_any_order(
        first in any::<u16>(),
        steps in prop::collection::vec((-300i32..600, prop::collection::vec(any::<u8>(), 0..200), 0..4u8, 0..4u16), 1..60),
    ) {
        let (mut sealer, mut opener) = pair(SrtpProfile::AeadAes128Gcm);
        let mut theirs = context(SrtpProfile::AeadAes128Gcm, &keys(SrtpProfile::AeadAes128Gcm).inbound).expect("keys");
        let mut sequence = i32::from(first);
        for (step, payload, csrcs, words) in steps {
            sequence += step;
            let mut plain = packet(1, sequence as u16);
            plain.truncate(12);
            plain[0] |= 0x10 | csrcs;
            plain.resize(12 + 4 * usize::from(csrcs), 7);
            // A two-byte extension of padding and whole elements, as a header parser that is not ours may read it.
            plain.extend([0x10, 0]);
            plain.extend(words.to_be_bytes());
            plain.extend([5, 2, 1, 1].repeat(usize::from(words)));
            plain.extend(payload);
            let header = RtpHeader::parse(&plain).expect("RTP");
            let Ok(sealed) = sealer.seal_rtp(&plain, &header) else { continue };
            prop_assert_eq!(&theirs.decrypt_rtp(&sealed).expect("opened")[..], &plain[..]);
            prop_assert_eq!(open(&mut opener, &sealed), Ok(plain));
        }
    }
}

/// RFC 3711 §3.3.1: an index has 48 bits; a key is used up before that.
#[test]
fn the_last_index_is_not_followed_by_the_first() {
    let (sealer, _) = pair(SrtpProfile::AeadAes128Gcm);
    let session = sealer.session().expect("a session key");
    let plain = packet(1, 65_535);
    assert!(session.seal(Ssrc(1), (1 << 48) - 1, &plain, 12).is_ok());
    assert_eq!(
        session.seal(Ssrc(1), 1 << 48, &plain, 12),
        Err(NotSealed::Refused)
    );
}

const SSRC: Ssrc = Ssrc(1);

/// An opener that has opened the packet 100, and tokens for 101 to 107 that it shares with the kernel.
fn shared_opener() -> (Sealer, Opener, Rc<TokenRing>) {
    let (mut sealer, mut opener) = pair(SrtpProfile::AeadAes128Gcm);
    open(&mut opener, &seal(&mut sealer, &packet(1, 100))).expect("opened");
    let tokens = Maps::in_memory().expect("memory").tokens(8).expect("room");
    (101..108).for_each(|index| _ = tokens.put(index, [0; 16], false));
    let tokens = Rc::new(TokenRing::new(tokens));
    opener.share(SSRC, Rc::clone(&tokens), 0, 0);
    (sealer, opener, tokens)
}

#[test]
fn a_packet_that_the_kernel_took_is_a_replay_before_and_after_its_copy_came() {
    let (mut sealer, mut opener, tokens) = shared_opener();
    let sealed = seal(&mut sealer, &packet(1, 103));
    assert_eq!(tokens.tokens().claim(103), Claim::Granted, "by the kernel");
    assert_eq!(open(&mut opener, &sealed), Err(Refused::Replayed));
    opener.taken(SSRC, 103);
    assert_eq!(open(&mut opener, &sealed), Err(Refused::Replayed));
}

#[test]
fn a_packet_that_came_to_the_socket_is_not_taken_by_the_kernel_as_well() {
    let (mut sealer, mut opener, tokens) = shared_opener();
    assert!(open(&mut opener, &seal(&mut sealer, &packet(1, 103))).is_ok());
    assert_eq!(tokens.tokens().claim(103), Claim::AlreadyClaimed);
}

#[test]
fn a_forgery_uses_no_token_up() {
    let (mut sealer, mut opener, tokens) = shared_opener();
    let mut forged = seal(&mut sealer, &packet(1, 103));
    forged[13] ^= 1;
    assert_eq!(open(&mut opener, &forged), Err(Refused::Forged));
    assert_eq!(tokens.tokens().slot(103), Slot::Free);
}

#[test]
fn a_token_that_went_to_another_index_leaves_its_index_to_the_window() {
    let (mut sealer, mut opener, tokens) = shared_opener();
    let sealed: Vec<_> = [101, 102, 120]
        .map(|sequence| seal(&mut sealer, &packet(1, sequence)))
        .into();
    assert_eq!(tokens.tokens().claim(101), Claim::Granted, "by the kernel");
    for index in [101, 102] {
        if tokens.retire(index) {
            opener.taken(SSRC, index);
        }
        tokens.tokens().put(index + 8, [0; 16], false);
    }
    assert!(open(&mut opener, &sealed[2]).is_ok(), "ahead of all tokens");
    assert_eq!(open(&mut opener, &sealed[0]), Err(Refused::Replayed));
    assert!(open(&mut opener, &sealed[1]).is_ok());
    assert_eq!(open(&mut opener, &sealed[1]), Err(Refused::Replayed));
}

/// A sealer that has sealed the packet 100, and pads under the publisher's index 65,636 and the seven after it.
fn shared_sealer() -> (Sealer, Rc<PadRing>) {
    let (mut sealer, _) = pair(SrtpProfile::AeadAes128Gcm);
    seal(&mut sealer, &packet(1, 100));
    let pads = Maps::in_memory().expect("memory").pads(8).expect("room");
    (65_637..65_644).for_each(|index| _ = pads.put(index, [0; 16], false, 16, |_| {}));
    let ring = Rc::new(PadRing::new(pads, -65_536));
    assert!(sealer.share(SSRC, &ring));
    (sealer, ring)
}

fn try_seal(sealer: &mut Sealer, sequence: u16) -> Result<Bytes, NotSealed> {
    let packet = packet(1, sequence);
    sealer.seal_rtp(&packet, &RtpHeader::parse(&packet).expect("RTP"))
}

#[test]
fn what_the_kernel_sealed_is_not_sealed_again_while_its_pad_is_there_and_after() {
    let (mut sealer, ring) = shared_sealer();
    let claim = ring.pads().seal_like_the_kernel(65_639, 5, Sealed::default());
    assert_eq!(claim, Claim::Granted);
    assert_eq!(try_seal(&mut sealer, 103), Err(NotSealed::AlreadySealed));
    assert!(ring.retire(65_639));
    sealer.sealed(SSRC, 103);
    ring.pads().put(65_647, [0; 16], false, 16, |_| {});
    sealer.unshare(SSRC, &ring);
    assert_eq!(try_seal(&mut sealer, 103), Err(NotSealed::AlreadySealed));
    assert!(try_seal(&mut sealer, 104).is_ok());
}

#[test]
fn what_is_sealed_here_is_not_sealed_by_the_kernel_as_well() {
    let (mut sealer, ring) = shared_sealer();
    assert!(try_seal(&mut sealer, 103).is_ok());
    let claim = ring.pads().seal_like_the_kernel(65_639, 5, Sealed::default());
    assert_eq!(claim, Claim::AlreadyClaimed);
}

/// Two pads for one index would be two packets sealed with it.
#[test]
fn the_kernel_has_one_ring_of_an_ssrc_at_a_time() {
    let (mut sealer, ring) = shared_sealer();
    let pads = Maps::in_memory().expect("memory").pads(8).expect("room");
    let other = Rc::new(PadRing::new(pads, 0));
    assert!(!sealer.share(SSRC, &other));
    sealer.unshare(SSRC, &other);
    assert!(sealer.is_shared(SSRC), "by the first one");
    sealer.unshare(SSRC, &ring);
    assert!(sealer.share(SSRC, &other));
}

#[test]
fn while_one_ring_takes_over_from_another_an_index_is_claimed_in_both() {
    let (mut sealer, ring) = shared_sealer();
    let (mask, pads) = ([0; 16], Maps::in_memory().expect("memory").pads(8).expect("room"));
    let beside = Rc::new(ring.beside(pads));
    (65_637..65_641).for_each(|index| assert!(beside.pads().put(index, mask, false, 8, |_| {})));
    assert!(sealer.share_beside(SSRC, &beside) && !sealer.share_beside(SSRC, &beside));
    let by_kernel = |ring: &PadRing, index| ring.pads().seal_like_the_kernel(index, 5, Sealed::default());
    assert_eq!(by_kernel(&ring, 65_637), Claim::Granted);
    assert_eq!(by_kernel(&beside, 65_638), Claim::Granted);
    assert!(try_seal(&mut sealer, 101).is_err() && try_seal(&mut sealer, 102).is_err());
    assert!(try_seal(&mut sealer, 103).is_ok());
    for ring in [&ring, &beside] {
        assert_eq!(by_kernel(ring, 65_639), Claim::AlreadyClaimed);
    }
    sealer.unshare(SSRC, &ring);
    assert_eq!(
        sealer
            .rings()
            .map(|(_, ring)| ring.pads().id())
            .collect::<Vec<_>>(),
        [beside.pads().id()]
    );
}

/// RFC 3711 §3.3.1: a receiver that joins late starts at the rollover counter 0, wherever the publisher is.
#[test]
fn a_leg_has_the_rollover_counter_of_its_own_first_packet() {
    let (mut sealer, _) = pair(SrtpProfile::AeadAes128Gcm);
    assert_eq!(
        sealer.nearest(SSRC, SequenceNumber(65_000)),
        None,
        "nothing was sealed yet"
    );
    seal(&mut sealer, &packet(1, 65_000));
    assert_eq!(sealer.nearest(SSRC, SequenceNumber(65_001)), Some(65_001));
    assert_eq!(sealer.nearest(SSRC, SequenceNumber(1)), Some(65_537));
}

proptest! {
    /// Whoever is faster at each index, it is sealed once.
    #[test]
    fn no_race_seals_an_index_twice(steps in prop::collection::vec((0..7u16, any::<bool>()), 0..60)) {
        let (mut sealer, ring) = shared_sealer();
        let mut sealed = [0; 7];
        for (place, by_kernel) in steps {
            let is_sealed = if by_kernel {
                let index = 65_637 + u64::from(place);
                ring.pads().seal_like_the_kernel(index, 5, Sealed::default()) == Claim::Granted
            } else {
                try_seal(&mut sealer, 101 + place).is_ok()
            };
            sealed[usize::from(place)] += u32::from(is_sealed);
            prop_assert!(sealed[usize::from(place)] == 1, "at the first attempt, and never again");
        }
    }
}
