//! What a notification says (sd_notify(3)).

/// The name of descriptors that came without one.
const NO_NAME: &str = "stored";

/// The parts of a notification that a keeper acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// The sender serves.
    pub(super) is_ready: bool,
    /// What comes with it is to be kept.
    pub(super) stores: bool,
    /// What has the name is to be let go.
    pub(super) removes: bool,
    /// Which name.
    pub(super) name: String,
}

impl Notice {
    /// Lines that mean nothing here are passed over, as systemd does.
    pub(super) fn read(text: &str) -> Self {
        let mut notice = Self {
            name: NO_NAME.to_owned(),
            ..Self::default()
        };
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => notice.is_ready = true,
                Some(("FDSTORE", "1")) => notice.stores = true,
                Some(("FDSTOREREMOVE", "1")) => notice.removes = true,
                Some(("FDNAME", name)) if can_be_passed(name) => name.clone_into(&mut notice.name),
                Some(_) | None => {}
            }
        }
        notice
    }
}

/// `LISTEN_FDNAMES` separates names by colons.
fn can_be_passed(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::Notice;

    #[test]
    fn storing_names_what_is_stored() {
        let notice = Notice::read("FDSTORE=1\nFDNAME=media\nFDPOLL=0");
        assert!(notice.stores && !notice.removes && !notice.is_ready);
        assert_eq!(notice.name, "media");
    }

    #[test]
    fn removing_names_what_is_removed() {
        let notice = Notice::read("FDSTOREREMOVE=1\nFDNAME=media\n");
        assert!(notice.removes && !notice.stores);
        assert_eq!(notice.name, "media");
    }

    #[test]
    fn several_things_may_be_said_at_once() {
        let notice = Notice::read("STATUS=serving\nREADY=1\nMAINPID=7");
        assert!(notice.is_ready && !notice.stores);
    }

    #[test]
    fn a_name_that_cannot_be_passed_on_is_not_taken() {
        for name in ["", "a:b", "a b", "ä", &"x".repeat(256)] {
            assert_eq!(Notice::read(&format!("FDSTORE=1\nFDNAME={name}")).name, "stored");
        }
    }

    #[test]
    fn noise_says_nothing() {
        for text in ["", "\n\n", "READY", "READY=0", "READY=11", "=1", "FDSTORE=\0"] {
            let notice = Notice::read(text);
            assert!(!notice.is_ready && !notice.stores && !notice.removes, "{text:?}");
        }
    }
}
