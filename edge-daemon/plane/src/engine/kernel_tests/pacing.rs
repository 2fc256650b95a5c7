//! What the media thread does at a time for flows that begin, and for flows of which the kernel takes nothing.

use crate::command::Command;
use crate::engine::lab::{GCM, HOST, LOOK, Lab, VIDEO, video_leg, video_track};
use crate::flows::FlowId;
use lianmai_fanout::Ssrc;
use lianmai_webrtc::EndpointId;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// How often all flows are compared with what they should be.
const REVIEW: Duration = Duration::from_millis(500);

/// Clearing the rings of a flow takes the kernel a millisecond, and packets of all streams wait for it.
#[test]
fn streams_that_begin_at_once_come_into_the_kernel_two_at_a_time() {
    let mut lab = Lab::new();
    let hosts = (100..110).map(EndpointId);
    hosts.clone().for_each(|host| publish_to_one_leg(&mut lab, host));
    for host in hosts {
        let packet = lab.peer(host).seal_next();
        lab.at_socket_from(host, &packet);
    }
    lab.skip(REVIEW);
    let counts: Vec<_> = std::iter::repeat_with(|| {
        lab.turn();
        lab.skip(LOOK);
        lab.engine.flows.count()
    })
    .take_while(|count| *count < 10)
    .collect();
    assert_eq!(counts, [2, 4, 6, 8]);
    lab.pass(100 * MS);
    assert_eq!(lab.engine.flows.running(), 10);
}

/// A look at every flow in every turn would be most of the work of a hundred quiet rooms.
#[test]
fn what_the_daemon_took_of_a_stream_that_rests_is_noticed_within_50_ms() {
    let mut lab = resting();
    let before = ready_until(&lab);
    for _ in 0..30 {
        let packet = lab.sealed();
        lab.at_socket(&packet);
    }
    lab.turn();
    assert_eq!(ready_until(&lab), before, "it rests");
    lab.pass(50 * MS);
    assert_eq!(ready_until(&lab), before + 30);
}

fn publish_to_one_leg(lab: &mut Lab, host: EndpointId) {
    let leg = EndpointId(host.0 + 100);
    lab.connect(host, GCM);
    lab.apply(Command::Publish {
        endpoint: host,
        tracks: vec![video_track()],
    });
    lab.connect(leg, GCM);
    lab.apply(Command::Subscribe {
        endpoint: leg,
        source: host,
        tracks: vec![video_leg(96)],
    });
}

/// A stream in the kernel that has all that it is to have, just looked at.
fn resting() -> Lab {
    let mut lab = Lab::running(0, &[GCM]);
    lab.pass(2 * REVIEW);
    lab
}

fn ready_until(lab: &Lab) -> u64 {
    let (source, ssrc) = (HOST, Ssrc(VIDEO));
    let view = lab.engine.flows.view(FlowId { source, ssrc });
    view.expect("in the kernel").ready_until
}
