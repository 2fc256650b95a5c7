//! Takes the kernel programs into the crate: the object that `LIANMAI_XDP_OBJECT` names, or the one that `cargo xtask setup`
//! built. Without either the crate is built without programs, and says so when they are to be loaded. The same goes for those of
//! the benchmark, which no daemon links.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=LIANMAI_XDP_OBJECT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    match env::var_os("LIANMAI_XDP_OBJECT") {
        Some(path) => take(Path::new(&path), &out.join("lianmai-xdp")),
        None => take_built(&out, "lianmai-xdp"),
    }
    take_built(&out, "lianmai-floor");
}

fn take_built(out: &Path, name: &str) {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where"));
    let folder = crate_dir.join("../../../target/bpf");
    let object = folder.join(name);
    if object.exists() {
        take(&object, &out.join(name));
        return;
    }
    // A path that does not exist would have cargo build this crate anew each time; a folder is looked into for what appears.
    // Where none can be made, none will appear.
    if fs::create_dir_all(&folder).is_ok() {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    fs::write(out.join(name), []).expect("an empty file in OUT_DIR");
}

fn take(object: &Path, out: &Path) {
    println!("cargo::rerun-if-changed={}", object.display());
    if let Err(error) = fs::copy(object, out) {
        panic!("the kernel programs {} cannot be read: {error}", object.display());
    }
}
