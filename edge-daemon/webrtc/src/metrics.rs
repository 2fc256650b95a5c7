//! Counters of what reaches the port and what becomes of it.

use crate::LostReason;
use crate::ice::StunOutcome;
use crate::srtp::SrtpProfile;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type Label = [(&'static str, &'static str); 1];

/// The counters of a transport; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    stun: Family<Label, Counter>,
    connected: Family<Label, Counter>,
    lost: Family<Label, Counter>,
    drops: Family<Label, Counter>,
}

/// Why a datagram, or a part of it, was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// DTLS from an address that no STUN check has validated.
    DtlsUnvalidated,
    /// DTLS before or after its association, or of one that ended with an earlier process.
    DtlsNoAssociation,
    /// The association's queue was full.
    DtlsQueueFull,
    /// A DTLS record that is malformed, beyond a limit, or not due.
    DtlsRecord,
    /// Neither STUN nor DTLS.
    NotSignalling,
    /// The socket would not send.
    SendFailed,
}

impl DropReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::DtlsUnvalidated => "dtls_unvalidated",
            Self::DtlsNoAssociation => "dtls_no_association",
            Self::DtlsQueueFull => "dtls_queue_full",
            Self::DtlsRecord => "dtls_record",
            Self::NotSignalling => "not_signalling",
            Self::SendFailed => "send_failed",
        }
    }
}

impl Metrics {
    /// Adds the counters to a registry, which may prefix their names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("stun_messages", "STUN messages by outcome", self.stun.clone());
        registry.register(
            "dtls_connected",
            "DTLS handshakes done, by SRTP profile",
            self.connected.clone(),
        );
        registry.register("endpoints_lost", "Endpoints lost, by reason", self.lost.clone());
        registry.register(
            "transport_drops",
            "STUN and DTLS datagrams dropped, by reason",
            self.drops.clone(),
        );
    }

    pub(crate) fn count_stun(&self, outcome: StunOutcome) {
        self.stun.get_or_create(&[("outcome", stun_name(outcome))]).inc();
    }

    pub(crate) fn count_connected(&self, profile: SrtpProfile) {
        let name = match profile {
            SrtpProfile::AeadAes128Gcm => "aead_aes_128_gcm",
            SrtpProfile::Aes128CmHmacSha1_80 => "aes128_cm_hmac_sha1_80",
        };
        self.connected.get_or_create(&[("profile", name)]).inc();
    }

    pub(crate) fn count_lost(&self, reason: LostReason) {
        self.lost.get_or_create(&[("reason", reason.as_str())]).inc();
    }

    pub(crate) fn count_drops(&self, reason: DropReason, count: u32) {
        if count > 0 {
            self.drops
                .get_or_create(&[("reason", reason.as_str())])
                .inc_by(count.into());
        }
    }
}

const fn stun_name(outcome: StunOutcome) -> &'static str {
    match outcome {
        StunOutcome::Answered => "answered",
        StunOutcome::RoleConflict => "role_conflict",
        StunOutcome::UnknownAttribute => "unknown_attribute",
        StunOutcome::Indication => "indication",
        StunOutcome::Unexpected => "unexpected",
        StunOutcome::Malformed => "malformed",
        StunOutcome::UnknownUser => "unknown_user",
        StunOutcome::WrongPassword => "wrong_password",
        StunOutcome::AddressInUse => "address_in_use",
    }
}

#[cfg(test)]
mod tests {
    use super::{DropReason, Metrics};
    use crate::ice::StunOutcome;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn counters_appear_under_their_names_and_labels() {
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        metrics.clone().count_stun(StunOutcome::WrongPassword);
        metrics.count_drops(DropReason::DtlsUnvalidated, 2);
        metrics.count_drops(DropReason::SendFailed, 0);
        let mut page = String::new();
        encode(&mut page, &registry).expect("text");
        assert!(page.contains("stun_messages_total{outcome=\"wrong_password\"} 1"));
        assert!(page.contains("transport_drops_total{reason=\"dtls_unvalidated\"} 2"));
        assert!(!page.contains("send_failed"));
    }
}
