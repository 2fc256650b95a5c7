//! Refuses to build a slow mixer.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("x86_64") || on_path("nasm") {
        return;
    }
    println!(
        "cargo::error=`nasm` is not on the PATH. Without it OpenH264 is built without its assembly, and a mix costs \
         three times the CPU without a word. Install it (Debian: apt-get install nasm), then run \
         `cargo clean --release -p openh264-sys2` and build again."
    );
}

/// Whether a directory of the PATH has a file of this name.
fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| is_program(&dir, program)))
}

fn is_program(dir: &Path, program: &str) -> bool {
    dir.join(program).is_file()
}
