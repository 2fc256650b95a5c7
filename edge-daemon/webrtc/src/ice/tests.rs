use super::message::testing::Check;
use super::{ADDRESS_HOLD, CONSENT_TIMEOUT, IceLite, Output, StunOutcome};
use crate::endpoint::{EndpointId, Validated};
use crate::parameters::{Credentials, DtlsRole, RemoteParameters};
use crate::saved::SavedEndpoint;
use crate::srtp::{MasterKey, SrtpKeys, SrtpProfile};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::attributes::{ATTR_ICE_CONTROLLED, AttrType};
use stun::error_code::ErrorCodeAttribute;
use stun::message::{Getter, Message};
use stun::xoraddr::XorMappedAddress;

const ALICE: EndpointId = EndpointId(1);
const BOB: EndpointId = EndpointId(2);
const PASSWORD: &str = "a password of twenty-two";

/// A port with endpoints, and a clock that the test moves.
struct Port {
    ice: IceLite,
    now: Instant,
}

impl Port {
    fn with_alice() -> Self {
        let mut port = Self {
            ice: IceLite::new(),
            now: Instant::now(),
        };
        port.add(ALICE, "alice");
        port
    }

    fn add(&mut self, endpoint: EndpointId, ufrag: &str) {
        self.ice.add(self.now, endpoint, credentials(ufrag), "peer");
    }

    fn receive(&mut self, from: &str, datagram: &[u8]) -> StunOutcome {
        self.ice.handle_datagram(self.now, address(from), datagram)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ice.handle_timeout(self.now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.ice.poll_output()).collect()
    }

    fn selections(&mut self) -> Vec<SocketAddr> {
        let selections = self.outputs().into_iter().filter_map(|output| match output {
            Output::Selected { remote, .. } => Some(remote.get()),
            _ => None,
        });
        selections.collect()
    }
}

fn credentials(ufrag: &str) -> Credentials {
    Credentials {
        ufrag: ufrag.into(),
        pwd: PASSWORD.into(),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn check(ufrag: &str) -> Check {
    Check::new(&format!("{ufrag}:peer")).priority(100)
}

fn plain(ufrag: &str) -> Vec<u8> {
    check(ufrag).signed(PASSWORD).finish()
}

fn nominating(ufrag: &str, priority: u32) -> Vec<u8> {
    Check::new(&format!("{ufrag}:peer"))
        .priority(priority)
        .nominating()
        .signed(PASSWORD)
        .finish()
}

fn response(output: &Output) -> Message {
    let Output::Transmit { bytes, .. } = output else {
        panic!("no response: {output:?}")
    };
    let mut message = Message::default();
    message.unmarshal_binary(bytes).expect("our own response");
    message
}

#[test]
fn a_valid_check_is_answered_with_the_senders_address_and_validates_it() {
    for from in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
        let mut port = Port::with_alice();
        assert_eq!(port.receive(from, &plain("alice")), StunOutcome::Answered);
        let outputs = port.outputs();
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&response(&outputs[0])).expect("a mapped address");
        assert_eq!(SocketAddr::new(mapped.ip, mapped.port), address(from));
        assert_eq!(
            outputs[1],
            Output::Validated {
                endpoint: ALICE,
                remote: Validated::new(address(from))
            }
        );
        assert_eq!(
            port.ice.validated(address(from)),
            Some((ALICE, Validated::new(address(from))))
        );
    }
}

#[test]
fn an_unknown_user_name_meets_silence() {
    let mut port = Port::with_alice();
    for user in ["mallory:peer", "alice:other", "alice", ":", ""] {
        let datagram = Check::new(user).signed(PASSWORD).finish();
        assert_eq!(
            port.receive("192.0.2.1:5000", &datagram),
            StunOutcome::UnknownUser,
            "{user:?}"
        );
    }
    assert_eq!(port.outputs(), []);
    assert_eq!(port.ice.validated(address("192.0.2.1:5000")), None);
}

#[test]
fn a_wrong_password_meets_silence_and_validates_nothing() {
    let mut port = Port::with_alice();
    let forged = check("alice")
        .nominating()
        .signed("another password of 22")
        .finish();
    assert_eq!(
        port.receive("192.0.2.1:5000", &forged),
        StunOutcome::WrongPassword
    );
    assert_eq!(port.outputs(), []);
    assert_eq!(port.ice.validated(address("192.0.2.1:5000")), None);
}

#[test]
fn noise_meets_silence() {
    let mut port = Port::with_alice();
    for datagram in [
        &[][..],
        &[0],
        &[0; 19],
        &[0; 20],
        &[1; 200],
        b"\0\x01\0\0\x21\x12\xa4\x42transaction!",
    ] {
        assert_eq!(port.receive("192.0.2.1:5000", datagram), StunOutcome::Malformed);
    }
    assert_eq!(port.outputs(), []);
}

// DESIGN §4: bytes out never exceed three times bytes in before validation.
#[test]
fn no_answer_is_longer_than_three_times_the_question() {
    let smallest = |check: Check| check.signed(PASSWORD).finish();
    for request in [
        smallest(Check::new("alice:peer")),
        smallest(Check::new("alice:peer").with(ATTR_ICE_CONTROLLED, &[0; 8])),
        smallest(Check::new("alice:peer").with(AttrType(0x7001), &[])),
    ] {
        let mut port = Port::with_alice();
        port.receive("[2001:db8::1]:5000", &request);
        let outputs = port.outputs();
        let Output::Transmit { bytes, .. } = &outputs[0] else {
            panic!("no answer")
        };
        assert!(
            bytes.len() <= 3 * request.len(),
            "{} for {}",
            bytes.len(),
            request.len()
        );
    }
}

// RFC 8445 §7.3.1.1: a controlled agent that meets ICE-CONTROLLED answers 487 or takes control; a lite agent never does.
#[test]
fn a_peer_that_wants_to_be_controlled_is_told_of_the_role_conflict() {
    let mut port = Port::with_alice();
    let request = check("alice")
        .with(ATTR_ICE_CONTROLLED, &[0xff; 8])
        .signed(PASSWORD)
        .finish();
    assert_eq!(
        port.receive("192.0.2.1:5000", &request),
        StunOutcome::RoleConflict
    );
    let outputs = port.outputs();
    let mut error = ErrorCodeAttribute::default();
    error.get_from(&response(&outputs[0])).expect("an error code");
    assert_eq!(
        (error.code.0, outputs.len()),
        (487, 1),
        "and the address is not validated"
    );
}

#[test]
fn an_attribute_that_demands_understanding_is_refused_with_420() {
    let mut port = Port::with_alice();
    let request = check("alice")
        .with(AttrType(0x7001), &[])
        .signed(PASSWORD)
        .finish();
    assert_eq!(
        port.receive("192.0.2.1:5000", &request),
        StunOutcome::UnknownAttribute
    );
    let mut error = ErrorCodeAttribute::default();
    error
        .get_from(&response(&port.outputs()[0]))
        .expect("an error code");
    assert_eq!(error.code.0, 420);
}

#[test]
fn mapped_ipv4_addresses_are_the_same_peer_as_plain_ones() {
    let mut port = Port::with_alice();
    port.receive("[::ffff:192.0.2.1]:5000", &plain("alice"));
    let outputs = port.outputs();
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&response(&outputs[0])).expect("a mapped address");
    assert!(mapped.ip.is_ipv4(), "the peer knows itself by IPv4");
    assert!(port.ice.validated(address("192.0.2.1:5000")).is_some());
    assert!(port.ice.validated(address("[::ffff:192.0.2.1]:5000")).is_some());
}

#[test]
fn nothing_is_selected_before_the_peer_nominates() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &plain("alice"));
    assert!(port.selections().is_empty());
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    assert_eq!(port.selections(), [address("192.0.2.1:5000")]);
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    assert!(port.selections().is_empty(), "a repeated nomination is no news");
}

#[test]
fn with_aggressive_nomination_the_highest_priority_wins_in_any_order() {
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let mut port = Port::with_alice();
        for priority in order {
            port.receive(
                &format!("192.0.2.{priority}:5000"),
                &nominating("alice", priority),
            );
        }
        assert_eq!(
            port.ice.selected(ALICE).map(Validated::get),
            Some(address("192.0.2.3:5000")),
            "{order:?}"
        );
    }
}

#[test]
fn a_peer_that_moves_to_a_worse_address_is_followed() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 200));
    port.pass(Duration::from_secs(3));
    port.receive("198.51.100.1:5000", &nominating("alice", 100));
    assert_eq!(
        port.selections(),
        [address("192.0.2.1:5000"), address("198.51.100.1:5000")]
    );
}

#[test]
fn a_peer_that_withdraws_its_nomination_is_followed_at_once() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 200));
    port.receive("192.0.2.1:5000", &plain("alice"));
    assert!(
        port.ice.selected(ALICE).is_some(),
        "no other address was nominated yet"
    );
    port.receive("198.51.100.1:5000", &nominating("alice", 100));
    assert_eq!(port.selections().last(), Some(&address("198.51.100.1:5000")));
}

// RFC 7675 §5.1.
#[test]
fn consent_expires_thirty_seconds_after_the_last_valid_check() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    port.pass(Duration::from_secs(20));
    port.receive("192.0.2.1:5000", &plain("alice"));
    port.outputs();
    assert_eq!(port.ice.next_timeout(), Some(port.now + CONSENT_TIMEOUT));
    port.pass(CONSENT_TIMEOUT - Duration::from_millis(1));
    assert_eq!(port.outputs(), []);
    port.pass(Duration::from_millis(1));
    assert_eq!(
        port.outputs(),
        [Output::Expired {
            endpoint: ALICE,
            validated: true
        }]
    );
    assert_eq!(port.ice.validated(address("192.0.2.1:5000")), None);
    assert_eq!(port.ice.next_timeout(), None);
}

#[test]
fn an_endpoint_whose_peer_never_shows_up_expires_too() {
    let mut port = Port::with_alice();
    port.pass(CONSENT_TIMEOUT);
    assert_eq!(
        port.outputs(),
        [Output::Expired {
            endpoint: ALICE,
            validated: false
        }]
    );
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice")),
        StunOutcome::UnknownUser
    );
}

#[test]
fn checks_with_a_wrong_password_keep_nobody_alive() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &plain("alice"));
    port.outputs();
    port.pass(Duration::from_secs(29));
    port.receive(
        "192.0.2.1:5000",
        &check("alice").signed("another password of 22").finish(),
    );
    port.pass(Duration::from_secs(1));
    assert_eq!(
        port.outputs(),
        [Output::Expired {
            endpoint: ALICE,
            validated: true
        }]
    );
}

#[test]
fn authenticated_media_counts_as_consent() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    port.outputs();
    port.pass(Duration::from_secs(29));
    port.ice.media_alive(port.now, ALICE);
    port.pass(Duration::from_secs(29));
    assert_eq!(port.outputs(), []);
    assert!(port.ice.validated(address("192.0.2.1:5000")).is_some());
}

#[test]
fn an_ice_restart_keeps_the_old_credentials_until_the_new_ones_are_used() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    port.ice.restart(port.now, ALICE, credentials("alice2"), "peer");
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice")),
        StunOutcome::Answered
    );
    assert_eq!(
        port.receive("198.51.100.1:5000", &nominating("alice2", 1)),
        StunOutcome::Answered
    );
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice")),
        StunOutcome::UnknownUser
    );
    assert_eq!(
        port.selections().last(),
        Some(&address("198.51.100.1:5000")),
        "whatever its priority"
    );
}

#[test]
fn a_second_restart_before_the_first_was_used_leaves_no_trace_of_it() {
    let mut port = Port::with_alice();
    port.ice.restart(port.now, ALICE, credentials("alice2"), "peer");
    port.ice.restart(port.now, ALICE, credentials("alice3"), "peer");
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice2")),
        StunOutcome::UnknownUser
    );
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice")),
        StunOutcome::Answered
    );
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice3")),
        StunOutcome::Answered
    );
}

#[test]
fn a_peer_that_checks_from_everywhere_keeps_its_selected_address() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    for low in 0..200 {
        port.pass(Duration::from_millis(1));
        port.receive(&format!("198.51.100.{low}:5000"), &plain("alice"));
    }
    assert!(port.ice.validated(address("192.0.2.1:5000")).is_some());
    let known = (0..200)
        .filter(|low| {
            port.ice
                .validated(address(&format!("198.51.100.{low}:5000")))
                .is_some()
        })
        .count();
    assert_eq!(known, 15, "sixteen addresses in all");
}

#[test]
fn a_participant_cannot_take_the_address_of_another_who_is_alive() {
    let mut port = Port::with_alice();
    port.add(BOB, "bob");
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    assert_eq!(
        port.receive("192.0.2.1:5000", &nominating("bob", 100)),
        StunOutcome::AddressInUse
    );
    assert_eq!(
        port.ice
            .validated(address("192.0.2.1:5000"))
            .map(|(owner, _)| owner),
        Some(ALICE)
    );
    port.pass(ADDRESS_HOLD);
    assert_eq!(
        port.receive("192.0.2.1:5000", &nominating("bob", 100)),
        StunOutcome::Answered
    );
    assert_eq!(
        port.ice
            .validated(address("192.0.2.1:5000"))
            .map(|(owner, _)| owner),
        Some(BOB)
    );
    assert_eq!(port.ice.selected(ALICE), None);
}

#[test]
fn a_removed_endpoint_is_forgotten_with_its_addresses() {
    let mut port = Port::with_alice();
    port.receive("192.0.2.1:5000", &nominating("alice", 100));
    assert!(port.ice.remove(ALICE));
    assert!(!port.ice.remove(ALICE));
    assert_eq!(port.ice.validated(address("192.0.2.1:5000")), None);
    assert_eq!(
        port.receive("192.0.2.1:5000", &plain("alice")),
        StunOutcome::UnknownUser
    );
}

/// What is written down of an endpoint that is connected at this address, if any.
fn saved(ufrag: &str, at: Option<&str>) -> SavedEndpoint {
    let remote = RemoteParameters {
        ice: credentials("peer"),
        fingerprints: Vec::new(),
        role: DtlsRole::Server,
    };
    let mut saved = SavedEndpoint::new(ALICE, credentials(ufrag), remote);
    if let Some(at) = at {
        let key = MasterKey {
            key: vec![1; 16],
            salt: vec![2; 12],
        };
        let keys = SrtpKeys {
            profile: SrtpProfile::AeadAes128Gcm,
            inbound: key.clone(),
            outbound: key,
        };
        saved.connected(Validated::new(address(at)), keys);
    }
    saved
}

fn restored(saved: &SavedEndpoint) -> Port {
    let mut port = Port {
        ice: IceLite::new(),
        now: Instant::now(),
    };
    port.ice.restore(port.now, saved);
    port
}

#[test]
fn a_restored_peer_is_where_it_was_and_its_checks_are_no_news() {
    let mut port = restored(&saved("alice", Some("192.0.2.1:5000")));
    let here = address("192.0.2.1:5000");
    assert_eq!(port.ice.selected(ALICE).map(Validated::get), Some(here));
    assert_eq!(port.ice.validated(here).map(|(id, _)| id), Some(ALICE));
    let check = check("alice").nominating().signed(PASSWORD).finish();
    assert_eq!(port.receive("192.0.2.1:5000", &check), StunOutcome::Answered);
    assert!(matches!(port.outputs()[..], [Output::Transmit { .. }]));
}

// RFC 7675 §5.1, from the restoration on: what was before it, nobody knows.
#[test]
fn a_restored_peer_that_stays_silent_loses_its_consent() {
    let mut port = restored(&saved("alice", Some("192.0.2.1:5000")));
    port.pass(CONSENT_TIMEOUT - Duration::from_millis(1));
    assert_eq!(port.outputs(), []);
    port.pass(Duration::from_millis(1));
    let expired = Output::Expired {
        endpoint: ALICE,
        validated: true,
    };
    assert_eq!(port.outputs(), [expired]);
}

#[test]
fn a_restored_peer_may_use_the_credentials_from_before_an_ice_restart_until_it_uses_the_new() {
    let mut saved = saved("old", Some("192.0.2.1:5000"));
    saved.restarted(credentials("new"), credentials("peer"));
    let mut port = restored(&saved);
    for (ufrag, outcome) in [
        ("old", StunOutcome::Answered),
        ("new", StunOutcome::Answered),
        ("old", StunOutcome::UnknownUser),
    ] {
        let check = check(ufrag).signed(PASSWORD).finish();
        assert_eq!(port.receive("192.0.2.1:5000", &check), outcome, "{ufrag}");
    }
}

#[test]
fn a_peer_that_never_came_is_restored_as_one_that_may_still_come() {
    let mut port = restored(&saved("alice", None));
    assert_eq!(port.ice.selected(ALICE), None);
    port.receive("192.0.2.1:5000", &check("alice").signed(PASSWORD).finish());
    assert!(
        port.outputs()
            .iter()
            .any(|output| matches!(output, Output::Validated { .. }))
    );
}
