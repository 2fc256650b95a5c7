//! Loading, attaching, and what stands in the way.

use crate::namespace::{eventually, ip, with_wire};
use lianmai_fanout::records::Outcome;
use lianmai_kernel::{Config, Kernel, NoRoom, Outliving, Unavailable};

pub(crate) const PORT: u16 = 8_444;

/// The programs on `lan0`; `None`, and a word why, if they were not built.
pub(crate) fn load() -> Option<Kernel> {
    match load_on("lan0") {
        Ok(kernel) => Some(kernel),
        Err(Unavailable::NotBuilt) => {
            eprintln!("skipped: {}", Unavailable::NotBuilt);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn load_on(interface: &str) -> Result<Kernel, Unavailable> {
    Kernel::load(&Config {
        interface: interface.to_owned(),
        media_port: PORT,
        outliving: Outliving::No,
    })
}

#[test]
fn the_programs_are_verified_compiled_and_attached() {
    with_wire(|| {
        let Some(kernel) = load() else { return };
        let programs = kernel.programs();
        assert_eq!(
            programs.iter().map(|program| program.name).collect::<Vec<_>>(),
            ["ingress", "egress"]
        );
        for program in programs {
            assert!(
                program.jited_size > 0 && program.verified_instructions > Some(0),
                "{program:?}"
            );
            println!("{program:?}");
        }
        assert!(
            kernel
                .outcomes()
                .expect("counters")
                .iter()
                .all(|(outcome, count)| outcome == Outcome::NotOurs || count == 0)
        );
    });
}

#[test]
fn an_interface_has_one_kernel_plane_until_it_is_dropped() {
    with_wire(|| {
        let Some(kernel) = load() else { return };
        let busy = load_on("lan0").expect_err("the first is attached");
        assert!(
            matches!(&busy, Unavailable::Busy { program: Some(_), .. }),
            "{busy}"
        );
        drop(kernel);
        load().expect("free again");
    });
}

#[test]
fn an_interface_without_native_xdp_is_refused() {
    with_wire(|| {
        if load().is_none() {
            return;
        }
        ip("link add bridge0 type bridge");
        let refused = load_on("bridge0").expect_err("no native XDP");
        assert!(matches!(&refused, Unavailable::NoNativeXdp { .. }), "{refused}");
        assert!(matches!(load_on("lan7"), Err(Unavailable::NoSuchInterface(_))));
    });
}

#[test]
fn rings_and_tables_come_to_the_kernel_and_go() {
    with_wire(|| {
        let Some(mut kernel) = load() else { return };
        let maps = kernel.maps();
        let tokens: Vec<_> = (0..8).map(|_| maps.tokens(256).expect("room")).collect();
        let pads: Vec<_> = (0..24).map(|_| maps.pads(256).expect("room")).collect();
        let tables: Vec<_> = (0..16).map(|_| maps.table([7; 16]).expect("room")).collect();
        eventually("the installation", || {
            tokens.iter().all(lianmai_kernel::Tokens::is_installed)
                && pads.iter().all(lianmai_kernel::Pads::is_installed)
                && tables.iter().all(lianmai_kernel::TableSlot::is_installed)
        });
        drop((tokens, pads, tables));
        assert_eq!(maps.memory(), 0);
        let again = maps.tokens(8_192).expect("room");
        eventually("the installation", || again.is_installed());
    });
}

#[test]
fn numbers_come_back_when_the_kernel_has_forgotten_what_was_there() {
    with_wire(|| {
        let Some(mut kernel) = load() else { return };
        let maps = kernel.maps();
        let mut peak = 0;
        // More than there are places, a few at a time.
        for _ in 0..5_000 {
            eventually("a free place", || match maps.tokens(1) {
                Ok(tokens) => {
                    peak = peak.max(tokens.id());
                    true
                }
                Err(NoRoom::Bound { .. }) => false,
                Err(error) => panic!("{error}"),
            });
        }
        assert_eq!(peak, 4_095);
    });
}

#[test]
fn a_kernel_plane_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Kernel>();
}
