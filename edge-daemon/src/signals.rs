//! What signals do: end the edge in order, or hand it over to the next daemon.

use crate::handover::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status that means: start me again, I left everything (`EX_TEMPFAIL` of sysexits.h).
pub(crate) const START_AGAIN: u8 = 75;

/// SIGTERM and SIGINT end the edge; a second one of either ends it at once.
pub(crate) fn end(store: Store) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ended = token.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if !first {
                std::process::exit(1);
            }
            tracing::info!("ending; once more to end at once");
            store.stopping();
            ended.cancel();
        }
    });
    Ok(token)
}

/// SIGUSR2 ends the daemon without a word to anybody, for another one to go on: `leave` brings what that one needs to the
/// store. Without a store nothing would be left, so nothing happens.
pub(crate) fn hand_over(store: Store, leave: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let mut asked = signal(SignalKind::user_defined2())?;
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            if store.is_there() {
                tracing::info!("leaving everything to the next daemon");
                leave();
                std::process::exit(i32::from(START_AGAIN));
            }
            tracing::warn!(
                "asked to leave everything to the next daemon, but nobody would keep it: start the edge by systemd or \
                 `lianmai-edge keep`"
            );
        }
    });
    Ok(())
}
