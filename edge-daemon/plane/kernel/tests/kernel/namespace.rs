//! Network namespaces that live as long as the thread that made them.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Runs a test in a fresh namespace with `lan0` and `lan1`, the two ends of a wire.
pub(crate) fn with_wire(test: impl FnOnce() + Send + 'static) {
    let done = thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("skipped: no network namespace can be made here ({error}); run as root");
            return;
        }
        ip("link set lo up");
        ip("link add lan0 type veth peer name lan1");
        test();
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Moves `lan1` to a namespace of its own, and makes there what a test needs. Sockets that come back stay in that namespace.
pub(crate) fn at_the_far_end<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> T {
    let (thread_ids, thread_id) = channel();
    let (moved, is_moved) = channel();
    let far = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("the first one could be made too");
        thread_ids.send(gettid()).expect("somebody waits");
        is_moved.recv().expect("it is moved");
        make()
    });
    let thread_id = thread_id.recv().expect("the thread says who it is");
    ip(&format!("link set lan1 netns {thread_id}"));
    moved.send(()).expect("the thread waits");
    far.join().expect("the far end is made")
}

/// The `ip` of iproute2.
pub(crate) fn ip(arguments: &str) {
    run("ip", arguments);
}

pub(crate) fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split_whitespace()).status();
    assert!(status.expect("it starts").success(), "{program} {arguments}");
}

/// Waits for what other threads or the kernel are about to do.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < patience, "{what} did not come about");
        thread::yield_now();
    }
}
