//! Finds libvpx, or says how to get it.

/// Older ones have another layout of what `src/libvpx.rs` reads.
const OLDEST: &str = "1.8";

fn main() {
    if let Err(error) = pkg_config::Config::new().atleast_version(OLDEST).probe("vpx") {
        println!(
            "cargo::error=libvpx {OLDEST} or newer is needed to decode VP8, and was not found: install it (Debian: \
             apt-get install libvpx-dev pkg-config) and build again. What was tried: {}",
            error.to_string().replace('\n', " ")
        );
    }
}
