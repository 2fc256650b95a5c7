//! Network namespaces that live as long as the thread that made them.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

/// Runs a test in a fresh namespace with one end of a wire, `lan0`; the other end is in a namespace where `far` is called first.
/// What `far` makes, sockets above all, stays there. Without the privileges for that the test says so and does nothing.
pub(crate) fn over_a_wire<T: Send + 'static>(
    far: impl FnOnce() -> T + Send + 'static,
    test: impl FnOnce(T) + Send + 'static,
) {
    let near = thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("skipped: no network namespace can be made here ({error}); run as root");
            return;
        }
        ip("link set lo up");
        ip("link add lan0 type veth peer name lan1");
        test(at_the_far_end(far));
    });
    if let Err(panic) = near.join() {
        std::panic::resume_unwind(panic);
    }
}

fn at_the_far_end<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> T {
    let (thread_ids, thread_id) = channel();
    let (moved, is_moved) = channel();
    let far = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("the first one could be made too");
        thread_ids.send(gettid()).expect("somebody waits");
        is_moved.recv().expect("the wire is moved");
        make()
    });
    let thread_id = thread_id.recv().expect("the thread says who it is");
    ip(&format!("link set lan1 netns {thread_id}"));
    moved.send(()).expect("the thread waits");
    far.join().expect("the far end is made")
}

/// A BPF file system that only this thread and those that it starts can see, as long as they live.
pub(crate) fn bpf_file_system() -> Option<PathBuf> {
    unshare(CloneFlags::CLONE_NEWNS).ok()?;
    let no_data: Option<&str> = None;
    mount(
        no_data,
        "/",
        no_data,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        no_data,
    )
    .ok()?;
    let place = Path::new("/mnt");
    mount(Some("bpf"), place, Some("bpf"), MsFlags::empty(), no_data).ok()?;
    Some(place.to_owned())
}

/// The `ip` of iproute2.
pub(crate) fn ip(arguments: &str) {
    run("ip", arguments);
}

pub(crate) fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split_whitespace()).status();
    assert!(status.expect("it starts").success(), "{program} {arguments}");
}
