//! Builds an edge and lets it look at the machine that it is on.

use crate::run::say;
use crate::toolchain::Toolchain;
use crate::up::{become_edge, build_packages};
use anyhow::Result;
use std::ffi::OsString;

/// `cargo xtask doctor`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Flags of `lianmai-edge doctor`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<OsString>,
}

pub(crate) fn main(options: &Options) -> Result<()> {
    match Toolchain::find() {
        Ok(toolchain) => say(&format!("toolchain of the kernel programs: {toolchain}")),
        Err(lack) => say(&format!(
            "toolchain of the kernel programs: {lack:#}\n       cargo xtask setup --for up"
        )),
    }
    say("building the edge");
    build_packages(&["lianmai-edge"])?;
    let mut flags = vec![OsString::from("doctor")];
    flags.extend_from_slice(&options.flags);
    become_edge(&flags)
}
