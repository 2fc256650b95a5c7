//! Our reader and writers against the `rtcp` crate, and against those who would like to see them panic.

use super::{
    Compound, Feedback, Incoming, MAX_NACKED, MAX_PACKETS, ParseError, ReceptionBlock, SenderReport,
    TransportFeedback, goodbye, parse, relay_sender_report,
};
use crate::ntp::NtpTime;
use bytes::Bytes;
use lianmai_fanout::{SequenceNumber, Ssrc};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use rtcp::packet::Packet;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtcp::receiver_report::ReceiverReport;
use rtcp::source_description::SourceDescription;
use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
use rtcp::transport_feedbacks::transport_layer_nack::{
    NackPair, TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use webrtc_util::marshal::{Marshal, Unmarshal};

const OURS: Ssrc = Ssrc(0x0102_0304);
const THEIRS: Ssrc = Ssrc(0xfeed_beef);

type Boxed = Box<dyn Packet + Send + Sync>;

fn reference(datagram: &[u8]) -> Vec<Boxed> {
    rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(datagram)).expect("the reference reads it")
}

fn as_packet<T: 'static>(packet: &Boxed) -> &T {
    packet.as_any().downcast_ref().expect("the type that was written")
}

fn written(message: &Feedback<'_>) -> Vec<u8> {
    let mut compound = Compound::reduced();
    compound.push(OURS, message);
    compound.into_bytes()
}

fn block() -> ReceptionBlock {
    ReceptionBlock {
        ssrc: THEIRS,
        fraction_lost: 77,
        cumulative_lost: -5,
        highest_seq: 0x0003_ffff,
        jitter: 1_234,
        last_sr: 0xaabb_ccdd,
        delay_since_last_sr: 65_536,
    }
}

// "All RTCP packets MUST be sent in a compound packet of at least two individual packets, with the following
// format: ... the first RTCP packet in the compound packet MUST always be a report packet ... an SDES packet
// containing a CNAME item MUST be included" (RFC 3550 §6.1)
#[test]
fn a_report_begins_with_rr_and_cname() {
    let datagram = Compound::report(OURS, &[block()], b"edge").into_bytes();
    let packets = reference(&datagram);
    let report: &ReceiverReport = as_packet(&packets[0]);
    assert_eq!((report.ssrc, report.reports[0].ssrc), (OURS.0, THEIRS.0));
    assert_eq!(
        (report.reports[0].fraction_lost, report.reports[0].total_lost),
        (77, 0xff_fffb)
    );
    let names: &SourceDescription = as_packet(&packets[1]);
    assert_eq!(
        (names.chunks[0].source, &names.chunks[0].items[0].text[..]),
        (OURS.0, b"edge".as_slice())
    );
    let cname = Incoming::Cname {
        ssrc: OURS,
        cname: b"edge".to_vec(),
    };
    let report = Incoming::ReceiverReport {
        sender: OURS,
        blocks: vec![block()],
    };
    assert_eq!(parse(&datagram), Ok(vec![report, cname]));
}

// "the list of items in each chunk MUST be terminated by one or more null octets" (RFC 3550 §6.5)
#[test]
fn a_cname_of_any_length_ends_with_nulls_on_a_word() {
    for length in 0..=255 {
        let cname = vec![b'c'; length];
        let datagram = Compound::report(OURS, &[], &cname).into_bytes();
        assert_eq!(datagram.len() % 4, 0);
        let tail = &datagram[8 + 4 + 4 + 2 + length..];
        assert!(
            (1..=4).contains(&tail.len()) && tail.iter().all(|byte| *byte == 0),
            "{length}: {tail:?}"
        );
        assert_eq!(
            parse(&datagram).unwrap()[1],
            Incoming::Cname { ssrc: OURS, cname }
        );
    }
}

#[test]
fn a_relayed_sender_report_keeps_its_content() {
    let report = SenderReport {
        ssrc: THEIRS,
        ntp: NtpTime(0x0123_4567_89ab_cdef),
        rtp: 42,
        packets: 7,
        octets: 9_999,
    };
    let datagram = relay_sender_report(&report, b"publisher");
    let packets = reference(&datagram);
    let theirs: &rtcp::sender_report::SenderReport = as_packet(&packets[0]);
    assert_eq!(
        (theirs.ssrc, theirs.ntp_time, theirs.rtp_time),
        (THEIRS.0, report.ntp.0, 42)
    );
    assert_eq!(
        (theirs.packet_count, theirs.octet_count, theirs.reports.len()),
        (7, 9_999, 0)
    );
    assert_eq!(parse(&datagram).unwrap()[0], Incoming::SenderReport(report));
}

#[test]
fn a_goodbye_is_a_whole_compound_and_needs_a_stream() {
    let datagram = goodbye(&[THEIRS, OURS], b"name").unwrap();
    let packets = reference(&datagram);
    let bye: &rtcp::goodbye::Goodbye = as_packet(&packets[2]);
    assert_eq!(bye.sources, [THEIRS.0, OURS.0]);
    assert_eq!(
        parse(&datagram).unwrap()[2],
        Incoming::Bye {
            ssrcs: vec![THEIRS, OURS]
        }
    );
    assert_eq!(goodbye(&[], b"name"), None);
}

#[test]
fn key_frame_requests_are_what_the_reference_reads() {
    let pli = written(&Feedback::Pli { ssrc: THEIRS });
    let theirs: PictureLossIndication = as_packet::<PictureLossIndication>(&reference(&pli)[0]).clone();
    assert_eq!((theirs.sender_ssrc, theirs.media_ssrc), (OURS.0, THEIRS.0));
    assert_eq!(parse(&pli), Ok(vec![Incoming::Pli { ssrc: THEIRS }]));
    let fir = written(&Feedback::Fir {
        ssrc: THEIRS,
        sequence: 9,
    });
    let theirs: FullIntraRequest = as_packet::<FullIntraRequest>(&reference(&fir)[0]).clone();
    assert_eq!(
        (
            theirs.fir[0].ssrc,
            theirs.fir[0].sequence_number,
            theirs.media_ssrc
        ),
        (THEIRS.0, 9, 0)
    );
    assert_eq!(
        parse(&fir),
        Ok(vec![Incoming::Fir {
            ssrc: THEIRS,
            sequence: 9
        }])
    );
}

#[test]
fn our_clock_and_its_echo_are_read_among_unknown_blocks() {
    let rrtr = written(&Feedback::Rrtr {
        ntp: NtpTime(0x1122_3344_5566_7788),
    });
    assert!(matches!(
        parse(&rrtr).unwrap()[..],
        [Incoming::Rrtr {
            sender: OURS,
            ntp: NtpTime(0x1122_3344_5566_7788)
        }]
    ));
    let mut xr = vec![0x80, 207, 0, 8, 9, 9, 9, 9];
    xr.extend([42, 0, 0, 1, 1, 2, 3, 4]);
    xr.extend([5, 0, 0, 3, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6]);
    xr[3] = (xr.len() / 4 - 1) as u8;
    assert_eq!(
        parse(&xr),
        Ok(vec![Incoming::Dlrr {
            ssrc: OURS,
            last_rr: 5,
            delay: 6
        }])
    );
}

#[test]
fn an_empty_datagram_a_wrong_version_and_bad_padding_are_errors() {
    assert!(matches!(parse(&[]), Err(ParseError::TooShort { .. })));
    assert_eq!(parse(&[0x40, 201, 0, 1, 0, 0, 0, 0]), Err(ParseError::Version(1)));
    assert_eq!(
        parse(&[0xa0, 201, 0, 1, 0, 0, 0, 5]),
        Err(ParseError::Padding {
            padding: 5,
            payload: 4
        })
    );
    assert_eq!(
        parse(&[0xa0, 201, 0, 1, 0, 0, 0, 0]),
        Err(ParseError::Padding {
            padding: 0,
            payload: 4
        })
    );
    let many = [0x80, 204, 0, 0].repeat(MAX_PACKETS + 1);
    assert_eq!(parse(&many), Err(ParseError::TooManyPackets));
}

/// Each of these makes version 0.17.2 of the reference panic.
#[test]
fn packets_that_the_reference_panics_on_are_errors_here() {
    let remb = [
        0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 255, 0, 0, 1,
    ];
    let nack = [0x81, 205, 0, 1, 0, 0, 0, 1];
    let fir = [0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let mut wide = vec![
        0x8f, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0xff, 0xff, 0, 0, 0, 0,
    ];
    wide.extend([0x1f, 0xff].repeat(8));
    wide.extend([0x80, 0, 0, 0]);
    assert!(
        matches!(parse(&wide).as_deref(), Ok([Incoming::TransportFeedback(_)])),
        "all lost is no error"
    );
    assert!(panics_reference(&wide), "the reference has learned");
    for case in [remb.as_slice(), &nack, &fir] {
        assert!(
            matches!(parse(case), Err(ParseError::TooShort { .. })),
            "{case:?}"
        );
        assert!(panics_reference(case), "the reference has learned: {case:?}");
    }
}

fn panics_reference(datagram: &[u8]) -> bool {
    let read = || rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(datagram)).is_ok();
    std::panic::catch_unwind(read).is_err()
}

/// Eight run length chunks claim 65,528 received packets; their deltas are missing.
#[test]
fn run_lengths_without_deltas_allocate_nothing() {
    let mut bomb = vec![
        0x8f, 205, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0xff, 0xff, 0, 0, 0, 0,
    ];
    bomb.extend([0x3f, 0xff].repeat(8));
    assert!(matches!(parse(&bomb), Err(ParseError::TooShort { .. })));
}

#[test]
fn a_nack_for_everything_is_cut() {
    let pairs: Vec<u8> = (0..370_u16)
        .flat_map(|pair| [(pair * 17).to_be_bytes(), [0xff; 2]].concat())
        .collect();
    let mut nack = vec![0x81, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    nack.extend(&pairs);
    nack[2..4].copy_from_slice(&((2 + pairs.len() / 4) as u16).to_be_bytes());
    let Ok([Incoming::Nack { ssrc: Ssrc(2), seqs }]) =
        parse(&nack).map(|found| <[_; 1]>::try_from(found).unwrap())
    else {
        panic!("a NACK");
    };
    assert_eq!(seqs.len(), MAX_NACKED);
    assert_eq!(
        seqs[..3],
        [SequenceNumber(0), SequenceNumber(1), SequenceNumber(2)]
    );
}

#[test]
fn a_remb_beyond_64_bits_saturates() {
    let remb = [
        0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, 0xff, 0xff, 0xff,
    ];
    assert_eq!(
        parse(&remb),
        Ok(vec![Incoming::Remb {
            bitrate: u64::MAX,
            ssrcs: vec![]
        }])
    );
}

/// Arrivals with holes, reordering and pauses, as the recorder would hand them over.
fn feedbacks() -> impl Strategy<Value = TransportFeedback> {
    let delta = proptest::prop_oneof![
        6 => 0_i64..30,
        2 => 0_i64..256,
        1 => -4_000_i64..0,
        1 => 256_i64..32_768,
    ];
    let packets = prop::collection::vec(proptest::option::weighted(0.8, delta), 1..400);
    (packets, any::<u16>(), -0x80_0000..0x80_0000_i32, any::<u8>()).prop_filter_map(
        "something arrived",
        |(packets, base, reference, sequence)| {
            let mut ticks = 0;
            let arrivals: Vec<_> = (0..)
                .zip(packets)
                .filter_map(|(offset, delta)| {
                    ticks += delta?;
                    Some((offset, ticks))
                })
                .collect();
            let count = arrivals.last()?.0 + 1;
            Some(TransportFeedback {
                sender: OURS,
                media: THEIRS,
                base,
                count,
                reference,
                sequence,
                arrivals,
            })
        },
    )
}

/// What the reference reads: the offset of each received packet and the sum of deltas up to it.
fn arrivals_by_reference(feedback: &TransportLayerCc) -> Vec<(u16, i64)> {
    let symbols = feedback.packet_chunks.iter().flat_map(|chunk| match chunk {
        PacketStatusChunk::RunLengthChunk(run) => vec![run.packet_status_symbol; run.run_length.into()],
        PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
    });
    let received = (0..)
        .zip(symbols)
        .filter(|(_, symbol)| *symbol != SymbolTypeTcc::PacketNotReceived);
    let mut ticks = 0;
    received
        .zip(&feedback.recv_deltas)
        .map(|((offset, _), delta)| {
            ticks += delta.delta / 250;
            (offset, ticks)
        })
        .collect()
}

fn datagrams() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = vec![
        Compound::report(OURS, &[block(), block()], b"edge").into_bytes(),
        relay_sender_report(
            &SenderReport {
                ssrc: THEIRS,
                ntp: NtpTime(1 << 40),
                rtp: 1,
                packets: 1,
                octets: 1,
            },
            b"name",
        ),
        goodbye(&[OURS], b"x").unwrap(),
        written(&Feedback::Nack {
            ssrc: THEIRS,
            seqs: &[1, 2, 17, 18, 40, 65_535],
        }),
        written(&Feedback::Fir {
            ssrc: THEIRS,
            sequence: 1,
        }),
        written(&Feedback::Remb {
            bitrate: 1_000_000,
            ssrcs: &[OURS, THEIRS],
        }),
        written(&Feedback::Rrtr { ntp: NtpTime(5) }),
        written(&Feedback::Transport(&TransportFeedback {
            sender: OURS,
            media: THEIRS,
            base: 65_530,
            count: 30,
            reference: -3,
            sequence: 255,
            arrivals: (0..30)
                .filter(|at| at % 3 != 1)
                .map(|at| (at, i64::from(at) * 100))
                .collect(),
        })),
        vec![
            0x80, 207, 0, 5, 9, 9, 9, 9, 5, 0, 0, 3, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6,
        ],
    ];
    prop::sample::select(seeds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn transport_feedback_round_trips_and_the_reference_reads_the_same(feedback in feedbacks()) {
        let datagram = written(&Feedback::Transport(&feedback));
        prop_assert_eq!(datagram.len() % 4, 0);
        prop_assert!(datagram.len() < 1_200);
        prop_assert_eq!(parse(&datagram), Ok(vec![Incoming::TransportFeedback(feedback.clone())]));
        let theirs = TransportLayerCc::unmarshal(&mut Bytes::copy_from_slice(&datagram)).unwrap();
        prop_assert_eq!(theirs.base_sequence_number, feedback.base);
        prop_assert_eq!(theirs.packet_status_count, feedback.count);
        prop_assert_eq!(theirs.reference_time, feedback.reference.cast_unsigned() & 0xff_ffff);
        prop_assert_eq!(theirs.fb_pkt_count, feedback.sequence);
        prop_assert_eq!(arrivals_by_reference(&theirs), feedback.arrivals.clone());
        let again = parse(&theirs.marshal().unwrap());
        prop_assert_eq!(again, Ok(vec![Incoming::TransportFeedback(feedback)]));
    }

    #[test]
    fn nacks_round_trip_and_the_reference_reads_the_same(first in any::<u16>(), gaps in prop::collection::vec(1_u16..40, 0..100)) {
        let mut seqs = vec![first];
        seqs.extend(gaps.iter().scan(first, |seq, gap| { *seq = seq.wrapping_add(*gap); Some(*seq) }));
        let datagram = written(&Feedback::Nack { ssrc: THEIRS, seqs: &seqs });
        let wanted: Vec<_> = seqs.iter().copied().map(SequenceNumber).collect();
        prop_assert_eq!(parse(&datagram), Ok(vec![Incoming::Nack { ssrc: THEIRS, seqs: wanted }]));
        let theirs = TransportLayerNack::unmarshal(&mut Bytes::copy_from_slice(&datagram)).unwrap();
        let listed: Vec<u16> = theirs.nacks.iter().flat_map(NackPair::packet_list).collect();
        prop_assert_eq!(&listed, &seqs);
        if seqs.is_sorted() {
            prop_assert!(theirs.nacks.len() <= nack_pairs_from_sequence_numbers(&seqs).len());
        }
    }

    #[test]
    fn remb_loses_less_than_its_mantissa_can_hold(bitrate in 1_u64..20_000_000_000) {
        let datagram = written(&Feedback::Remb { bitrate, ssrcs: &[THEIRS] });
        let found = parse(&datagram).unwrap();
        let [Incoming::Remb { bitrate: read, ssrcs }] = found.as_slice() else { panic!("{found:?}") };
        prop_assert!(*read <= bitrate && bitrate - read <= bitrate >> 17);
        prop_assert_eq!(ssrcs, &[THEIRS]);
        let theirs = ReceiverEstimatedMaximumBitrate::unmarshal(&mut Bytes::from(datagram)).unwrap();
        prop_assert_eq!(theirs.bitrate as u64, *read);
    }

    #[test]
    fn cut_and_mutated_datagrams_never_panic_nor_swell(
        seed in datagrams(),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut datagram = seed;
        for (at, byte) in changes {
            let at = at.index(datagram.len());
            datagram[at] = byte;
        }
        datagram.truncate(cut.index(datagram.len()) + 1);
        if let Ok(found) = parse(&datagram) {
            prop_assert!(held(&found) <= datagram.len() * 40, "{found:?}");
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&noise);
        for packet_type in 200..=207 {
            for count in 0..32 {
                let mut packet = vec![0x80 | count, packet_type, 0, 0];
                packet.extend(&noise[..noise.len() / 4 * 4]);
                packet[2..4].copy_from_slice(&((noise.len() / 4) as u16).to_be_bytes());
                let _ = parse(&packet);
            }
        }
    }
}

#[test]
fn every_length_of_every_kind_of_packet_is_read_or_refused() {
    for packet_type in 198..=210_u8 {
        for count in 0..32_u8 {
            for words in 0..24_u8 {
                for fill in [0x00, 0xff, 0x80, 0x01] {
                    let mut packet = vec![0x80 | count, packet_type, 0, words];
                    packet.resize(4 + usize::from(words) * 4, fill);
                    let _ = parse(&packet);
                    packet.pop();
                    assert!(parse(&packet).is_err());
                }
            }
        }
    }
}

/// Bytes on the heap, roughly.
fn held(found: &[Incoming]) -> usize {
    let inner = found.iter().map(|incoming| match incoming {
        Incoming::ReceiverReport { blocks, .. } => blocks.capacity() * size_of::<ReceptionBlock>(),
        Incoming::Nack { seqs, .. } => seqs.capacity() * 2,
        Incoming::TransportFeedback(feedback) => feedback.arrivals.capacity() * 16,
        Incoming::Remb { ssrcs, .. } | Incoming::Bye { ssrcs } => ssrcs.capacity() * 4,
        Incoming::Cname { cname, .. } => cname.capacity(),
        _ => 0,
    });
    inner.sum::<usize>() + size_of_val(found)
}
