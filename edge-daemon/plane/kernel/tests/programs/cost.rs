//! What a packet costs, for a look: `cargo test -p lianmai-kernel --test programs cost -- --ignored --nocapture`.

use crate::packets::Rtp;
use crate::stage::{SSRC, Stage};

#[test]
#[ignore = "a measurement"]
fn nanoseconds_of_a_packet() {
    for payload_len in [120, 500, 1_150] {
        let mut stage = Stage::new(0);
        let (mut ingress, mut egress) = (Vec::new(), Vec::new());
        for index in 0..1_000 {
            let mut packet = Rtp::new(SSRC, index, payload_len);
            packet.extension = Some(([0xbe, 0xde], vec![0x10, 9, 0x22, 1, 2, 3, 0x31, 8, 9]));
            let sealed = stage.seal(&packet);
            let accepted = stage.ingress(&sealed);
            ingress.push(accepted.duration);
            for _ in 0..3 {
                egress.push(stage.programs.egress(&accepted).duration);
            }
        }
        for (name, durations) in [("ingress", &mut ingress), ("egress", &mut egress)] {
            durations.sort();
            let at = |quantile: usize| durations[durations.len() * quantile / 100].as_nanos();
            println!(
                "{name} of {payload_len} bytes: least {} p10 {} p50 {} p90 {} ns",
                at(0),
                at(10),
                at(50),
                at(90)
            );
        }
    }
}

/// One stream whose hash table is warm, and many whose tables push one another out of the caches.
#[test]
#[ignore = "a measurement"]
fn nanoseconds_with_many_tables() {
    use crate::keys::{self, Master};
    use crate::packets::frame;
    use crate::stage::{MEDIA_PORT, address, edge, wait_for};
    use lianmai_fanout::Ssrc;
    use lianmai_kernel::{ByHand, stream_key};
    for streams in [1usize, 16, 160, 1_600] {
        let mut programs = ByHand::load(MEDIA_PORT).unwrap();
        let from = address("192.0.2.9:5000");
        let master = Master(1);
        let session = master.keys();
        let mut all = Vec::new();
        let mut context = master.context();
        for n in 0..streams {
            let ssrc = n as u32 + 1;
            let maps = programs.maps();
            let tokens = maps.tokens(256).unwrap();
            let table = maps.table(session.hash_subkey()).unwrap();
            let mut stream = maps.stream().unwrap();
            for index in 0..64 {
                tokens.put(index, session.tag_mask(ssrc, index), false);
            }
            stream.describe(&tokens, &table);
            stream.set_ready_until(64);
            stream.renew(u64::MAX);
            all.push((tokens, table, stream));
        }
        wait_for(|| all.iter().all(|(t, b, _)| t.is_installed() && b.is_installed()));
        for (n, (_, _, stream)) in all.iter_mut().enumerate() {
            stream.announce(stream_key(from, Ssrc(n as u32 + 1))).unwrap();
        }
        let mut durations = Vec::new();
        for sequence in 0..(64.min(3_200 / streams.max(50)) as u16) {
            let frames: Vec<_> = (0..streams)
                .map(|n| {
                    let p = Rtp::new(n as u32 + 1, sequence, 1_150);
                    frame(from, edge(from), &keys::seal(&mut context, &p.bytes()))
                })
                .collect();
            for f in &frames {
                let run = programs.ingress(f);
                assert_eq!(run.action, 1);
                durations.push(run.duration);
            }
            programs.copies().take(10_000, |_, _, _| ());
        }
        durations.sort();
        let at = |q: usize| durations[durations.len() * q / 100].as_nanos();
        println!(
            "ingress of 1150 bytes, {streams} tables: least {} p10 {} p50 {} p90 {} ns",
            at(0),
            at(10),
            at(50),
            at(90)
        );
    }
}
