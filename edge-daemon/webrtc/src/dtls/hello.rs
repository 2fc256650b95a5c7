//! The SRTP profiles that a ClientHello offers (RFC 5246 §7.4.1.2, RFC 5764 §4.1.1).
//!
//! The `dtls` crate as a server takes the client's first profile that it knows. Ours is to prefer AES-GCM, so we look
//! first, and offer the crate that one alone.

use crate::SrtpProfile;

/// `use_srtp` (RFC 5764 §4.1.1).
const USE_SRTP: u16 = 14;

/// The best of our profiles among those of a ClientHello.
pub(super) fn choose_profile(client_hello: &[u8]) -> Option<SrtpProfile> {
    let offered = offered_profiles(client_hello)?;
    let ours = [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];
    ours.into_iter()
        .find(|profile| offered.contains(&number(*profile)))
}

/// RFC 7714 §14.2 and RFC 5764 §4.1.2.
const fn number(profile: SrtpProfile) -> u16 {
    match profile {
        SrtpProfile::AeadAes128Gcm => 7,
        SrtpProfile::Aes128CmHmacSha1_80 => 1,
    }
}

fn offered_profiles(client_hello: &[u8]) -> Option<Vec<u16>> {
    let mut hello = Reader(client_hello);
    hello.take(2 + 32)?; // version and random
    hello.vector8()?; // session id
    hello.vector8()?; // cookie
    hello.vector16()?; // cipher suites
    hello.vector8()?; // compression methods
    let mut extensions = Reader(hello.vector16()?);
    while let Some(kind) = extensions.u16() {
        let value = extensions.vector16()?;
        if kind == USE_SRTP {
            let profiles = Reader(value).vector16()?;
            return Some(
                profiles
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect(),
            );
        }
    }
    None
}

/// Takes a message apart from its front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = *self.take(1)?.first()?;
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }
}

#[cfg(test)]
mod tests {
    use super::choose_profile;
    use crate::SrtpProfile;

    fn hello(profiles: &[u16]) -> Vec<u8> {
        let list: Vec<u8> = profiles
            .iter()
            .flat_map(|profile| profile.to_be_bytes())
            .collect();
        let len = u8::try_from(list.len()).expect("a short list");
        let mut hello = vec![254, 253];
        hello.extend([7; 32]);
        hello.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        hello.extend([0, 4 + 4 + 3 + len, 0, 23, 0, 0, 0, 14, 0, len + 3, 0, len]);
        hello.extend(list);
        hello.push(0);
        hello
    }

    #[test]
    fn gcm_is_chosen_wherever_it_stands() {
        for profiles in [&[1, 7][..], &[7, 1], &[8, 1, 2, 7]] {
            assert_eq!(
                choose_profile(&hello(profiles)),
                Some(SrtpProfile::AeadAes128Gcm),
                "{profiles:?}"
            );
        }
    }

    #[test]
    fn without_gcm_the_fallback_is_chosen() {
        assert_eq!(
            choose_profile(&hello(&[2, 1])),
            Some(SrtpProfile::Aes128CmHmacSha1_80)
        );
    }

    #[test]
    fn no_common_profile_is_no_profile() {
        assert_eq!(choose_profile(&hello(&[2, 8])), None);
        assert_eq!(choose_profile(&hello(&[])), None);
    }

    #[test]
    fn every_truncation_is_survived() {
        let whole = hello(&[1, 7]);
        for len in 0..whole.len() - 1 {
            assert_eq!(choose_profile(&whole[..len]), None, "truncated to {len}");
        }
    }
}
