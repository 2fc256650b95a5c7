//! ICE-lite (RFC 8445 §2.5) for all endpoints of the one UDP port, as a machine without I/O.
//!
//! A lite agent sends no checks. It answers those of its peers, and learns from them where each peer is and which of
//! its addresses the peer has nominated.

mod agent;
mod message;
#[cfg(test)]
mod tests;

use crate::endpoint::{EndpointId, Validated};
use crate::parameters::Credentials;
use crate::saved::SavedEndpoint;
use agent::Agent;
use message::{BindingRequest, Parsed};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RFC 7675 §5.1: consent expires 30 seconds after the last check that proved it.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// An address that answered to one endpoint this recently is not handed to another: checks come every 5 s or faster.
const ADDRESS_HOLD: Duration = Duration::from_secs(10);

/// What the machine wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// A STUN response.
        bytes: Vec<u8>,
    },
    /// The first check with the right credentials came in: the endpoint exists, DTLS may begin.
    Validated {
        /// The endpoint.
        endpoint: EndpointId,
        /// Where the check came from.
        remote: Validated<SocketAddr>,
    },
    /// The peer nominated this address, for the first time or instead of another.
    Selected {
        /// The endpoint.
        endpoint: EndpointId,
        /// Where its media goes from now on.
        remote: Validated<SocketAddr>,
    },
    /// No sign of life for [`CONSENT_TIMEOUT`]; the machine has forgotten the endpoint.
    Expired {
        /// The endpoint.
        endpoint: EndpointId,
        /// Whether it had ever sent a valid check.
        validated: bool,
    },
}

/// What became of a STUN datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StunOutcome {
    /// A valid check, answered.
    Answered,
    /// A valid check of a peer that thinks it is controlled: answered with 487.
    RoleConflict,
    /// A signed request with an attribute that demands understanding: answered with 420.
    UnknownAttribute,
    /// A keep-alive.
    Indication,
    /// A response or another method: ignored.
    Unexpected,
    /// No STUN message of ICE: ignored.
    Malformed,
    /// The user name belongs to no endpoint: silence.
    UnknownUser,
    /// MESSAGE-INTEGRITY is wrong: silence.
    WrongPassword,
    /// The address serves another endpoint that is alive: silence.
    AddressInUse,
}

/// All ICE agents of the port.
#[derive(Debug, Default)]
pub struct IceLite {
    agents: BTreeMap<EndpointId, Agent>,
    by_ufrag: BTreeMap<String, EndpointId>,
    by_address: BTreeMap<SocketAddr, EndpointId>,
    outputs: VecDeque<Output>,
}

impl IceLite {
    /// A port without endpoints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects checks for `local.ufrag` from the peer that has `remote_ufrag`. An endpoint of the same id is replaced.
    pub fn add(&mut self, now: Instant, endpoint: EndpointId, local: Credentials, remote_ufrag: &str) {
        self.remove(endpoint);
        self.by_ufrag.insert(local.ufrag.clone(), endpoint);
        self.agents
            .insert(endpoint, Agent::new(now, local, remote_ufrag.to_owned()));
    }

    /// Goes on with an endpoint of an earlier process. One that was connected then is where it was; it has the time of a
    /// whole consent from now on to show that it is still there.
    pub fn restore(&mut self, now: Instant, saved: &SavedEndpoint) {
        let endpoint = saved.endpoint();
        self.remove(endpoint);
        let at = saved.connection().map(|(remote, _)| canonical(remote.get()));
        let agent = Agent::restore(now, saved, at);
        for ufrag in agent.ufrags() {
            self.by_ufrag.insert(ufrag.to_owned(), endpoint);
        }
        self.agents.insert(endpoint, agent);
        if let Some(at) = at {
            self.by_address.insert(at, endpoint);
        }
    }

    /// ICE restart (RFC 8445 §9): the old credentials hold until the first valid check with the new ones. Nothing
    /// happens when there is no such endpoint.
    pub fn restart(&mut self, now: Instant, endpoint: EndpointId, local: Credentials, remote_ufrag: &str) {
        let Some(agent) = self.agents.get_mut(&endpoint) else {
            return;
        };
        self.by_ufrag.insert(local.ufrag.clone(), endpoint);
        if let Some(retired) = agent.restart(now, local, remote_ufrag.to_owned()) {
            self.by_ufrag.remove(&retired);
        }
    }

    /// Forgets an endpoint and its addresses.
    pub fn remove(&mut self, endpoint: EndpointId) -> bool {
        let Some(agent) = self.agents.remove(&endpoint) else {
            return false;
        };
        agent.ufrags().for_each(|ufrag| {
            self.by_ufrag.remove(ufrag);
        });
        self.by_address.retain(|_, owner| *owner != endpoint);
        true
    }

    /// Takes a datagram that looks like STUN.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> StunOutcome {
        let from = canonical(from);
        match Parsed::read(datagram) {
            Ok(Parsed::Request(request)) => self.handle_request(now, from, request),
            Ok(Parsed::Indication) => StunOutcome::Indication,
            Ok(Parsed::Unexpected) => StunOutcome::Unexpected,
            Err(_) => StunOutcome::Malformed,
        }
    }

    /// Media of this endpoint passed authentication: as good a proof of consent as a check.
    pub fn media_alive(&mut self, now: Instant, endpoint: EndpointId) {
        if let Some(agent) = self.agents.get_mut(&endpoint) {
            agent.media_alive(now);
        }
    }

    /// The endpoint that has proved to be at this address.
    #[must_use]
    pub fn validated(&self, from: SocketAddr) -> Option<(EndpointId, Validated<SocketAddr>)> {
        let from = canonical(from);
        self.by_address
            .get(&from)
            .map(|endpoint| (*endpoint, Validated::new(from)))
    }

    /// Where the endpoint's media goes, once the peer has nominated an address.
    #[must_use]
    pub fn selected(&self, endpoint: EndpointId) -> Option<Validated<SocketAddr>> {
        self.agents.get(&endpoint)?.selected().map(Validated::new)
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.agents.values().map(Agent::next_timeout).min()
    }

    /// Lets endpoints and addresses expire.
    pub fn handle_timeout(&mut self, now: Instant) {
        let agents = &mut self.agents;
        let expired: Vec<_> = agents
            .iter()
            .filter(|(_, agent)| agent.expires() <= now)
            .map(|(id, _)| *id)
            .collect();
        for endpoint in expired {
            let validated = self.agents.get(&endpoint).is_some_and(Agent::was_validated);
            self.remove(endpoint);
            self.outputs.push_back(Output::Expired { endpoint, validated });
        }
        for agent in self.agents.values_mut() {
            for address in agent.drop_silent_paths(now) {
                self.by_address.remove(&address);
            }
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn handle_request(&mut self, now: Instant, from: SocketAddr, mut request: BindingRequest) -> StunOutcome {
        let Some((endpoint, password)) = self.claimed(&request) else {
            return StunOutcome::UnknownUser;
        };
        if !request.is_signed_with(&password) {
            return StunOutcome::WrongPassword;
        }
        if request.claims_controlled_role() {
            self.transmit(from, request.role_conflict(&password));
            return StunOutcome::RoleConflict;
        }
        if let Some(unknown) = request.unknown_attributes().first() {
            self.transmit(from, request.refuse_attribute(*unknown, &password));
            return StunOutcome::UnknownAttribute;
        }
        if self.is_held_by_another(now, from, endpoint) {
            return StunOutcome::AddressInUse;
        }
        self.transmit(from, request.success(from, &password));
        self.accept_check(now, from, endpoint, &request);
        StunOutcome::Answered
    }

    /// The endpoint that the user name claims, and the password to prove it.
    fn claimed(&self, request: &BindingRequest) -> Option<(EndpointId, String)> {
        let (ours, theirs) = request.fragments()?;
        let endpoint = *self.by_ufrag.get(ours)?;
        let password = self.agents.get(&endpoint)?.password(ours, theirs)?;
        Some((endpoint, password.to_owned()))
    }

    /// A participant who forges a source address must not take it from the one who is really there.
    fn is_held_by_another(&self, now: Instant, from: SocketAddr, endpoint: EndpointId) -> bool {
        let owner = self.by_address.get(&from).filter(|owner| **owner != endpoint);
        let seen = owner.and_then(|owner| self.agents.get(owner)?.path_seen(from));
        seen.is_some_and(|seen| now.saturating_duration_since(seen) < ADDRESS_HOLD)
    }

    fn accept_check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        endpoint: EndpointId,
        request: &BindingRequest,
    ) {
        let previous = self
            .by_address
            .insert(from, endpoint)
            .filter(|previous| *previous != endpoint);
        if let Some(robbed) = previous.and_then(|previous| self.agents.get_mut(&previous)) {
            robbed.forget_path(from);
        }
        let Some(agent) = self.agents.get_mut(&endpoint) else {
            return;
        };
        let first = !agent.was_validated();
        let ufrag = request.fragments().map_or("", |(ours, _)| ours);
        let nomination = request.nominates().then(|| request.priority());
        let effect = agent.check(now, from, ufrag, nomination);
        if let Some(retired) = effect.retired {
            self.by_ufrag.remove(&retired);
        }
        if let Some(evicted) = effect.evicted {
            self.by_address.remove(&evicted);
        }
        if first {
            self.outputs.push_back(Output::Validated {
                endpoint,
                remote: Validated::new(from),
            });
        }
        if effect.selected {
            self.outputs.push_back(Output::Selected {
                endpoint,
                remote: Validated::new(from),
            });
        }
    }

    fn transmit(&mut self, to: SocketAddr, response: Option<Vec<u8>>) {
        if let Some(bytes) = response {
            self.outputs.push_back(Output::Transmit { to, bytes });
        }
    }
}

/// One form per peer: a socket for both families reports IPv4 peers as mapped addresses, and flow labels may change.
fn canonical(address: SocketAddr) -> SocketAddr {
    match (address.ip().to_canonical(), address) {
        (IpAddr::V6(_), SocketAddr::V6(mut v6)) => {
            v6.set_flowinfo(0);
            SocketAddr::V6(v6)
        }
        (ip, _) => SocketAddr::new(ip, address.port()),
    }
}
