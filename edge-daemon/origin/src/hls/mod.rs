//! Streams as HLS (RFC 8216): made in memory, as long as somebody asks for it.

mod playlist;
mod segmenter;

use crate::Shared;
use crate::flv::Player;
use crate::name::StreamName;
use bytes::Bytes;
use segmenter::Segmenter;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// How often it is looked at whether anybody still asks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the first one who asks waits for the first segment: a group of pictures and a bit.
const FIRST_WITHIN: Duration = Duration::from_secs(8);

/// One file of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HlsFile {
    /// `index.m3u8`
    Playlist,
    /// `init-N.mp4`: what goes before segments.
    Map(u64),
    /// `N.m4s`
    Segment(u64),
}

/// Why a file is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HlsError {
    /// Nobody publishes the stream, or the file is of the past.
    #[error("there is no such stream, or it has no such segment any more")]
    NotFound,
    /// The stream has just begun.
    #[error("the stream has no segment yet: ask again")]
    NotYet,
    /// As many streams as may be are made into segments.
    #[error("too many streams are watched by HLS: try again later, or take the FLV stream")]
    TooMany,
    /// HLS players do not get this codec from here.
    #[error("this stream cannot be watched by HLS: {0}")]
    Unsupported(String),
}

impl HlsFile {
    /// The file of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "index.m3u8" {
            return Some(Self::Playlist);
        }
        let number = |text: &str| {
            text.parse()
                .ok()
                .filter(|number: &u64| number.to_string() == text)
        };
        if let Some(number_of_map) = name.strip_prefix("init-") {
            return number(number_of_map.strip_suffix(".mp4")?).map(Self::Map);
        }
        number(name.strip_suffix(".m4s")?).map(Self::Segment)
    }
}

/// The streams that somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<StreamName, Arc<Session>>>);

/// One of them.
#[derive(Debug)]
struct Session {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    segmenter: Segmenter,
    asked: Instant,
    ended: bool,
    failed: Option<String>,
}

/// A file of the stream `name`. Who asks for the list of a stream that is not watched yet waits for its first segment.
pub(crate) async fn file(shared: &Arc<Shared>, name: &StreamName, file: HlsFile) -> Result<Bytes, HlsError> {
    let session = match file {
        HlsFile::Playlist => session(shared, name)?,
        HlsFile::Map(_) | HlsFile::Segment(_) => shared.hls.get(name).ok_or(HlsError::NotFound)?,
    };
    let bytes = match file {
        HlsFile::Playlist => session.playlist().await.map(Bytes::from),
        HlsFile::Map(number) => session.touch().segmenter.map(number).ok_or(HlsError::NotFound),
        HlsFile::Segment(number) => session
            .touch()
            .segmenter
            .segment(number)
            .ok_or(HlsError::NotFound),
    }?;
    shared
        .metrics
        .bytes_sent
        .inc_by(u64::try_from(bytes.len()).unwrap_or_default());
    Ok(bytes)
}

/// The one that goes on, or a new one.
fn session(shared: &Arc<Shared>, name: &StreamName) -> Result<Arc<Session>, HlsError> {
    let mut sessions = shared.hls.lock();
    let live = shared.hub().is_publishing(name);
    if let Some(session) = sessions.get(name)
        // A stream that ended may be watched to its end; one that began again is another.
        && !(live && session.touch().ended)
    {
        return Ok(Arc::clone(session));
    }
    if sessions.len() >= shared.config.max_hls_streams && !sessions.contains_key(name) {
        shared.metrics.refuse("too many HLS streams");
        return Err(HlsError::TooMany);
    }
    let played = shared.hub().play(name);
    let (id, outlet) = played.map_err(|denied| {
        shared.metrics.refuse(denied.label());
        HlsError::NotFound
    })?;
    let session = Arc::new(Session::new());
    sessions.insert(name.clone(), Arc::clone(&session));
    let player = Player::new(shared, name, id, outlet);
    let (shared, name) = (Arc::clone(shared), name.clone());
    tokio::spawn(serve(shared, name, Arc::clone(&session), player));
    Ok(session)
}

/// Makes segments until nobody asks any more.
async fn serve(shared: Arc<Shared>, name: StreamName, session: Arc<Session>, player: Player) {
    shared.metrics.hls_streams.inc();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            tag = player.outlet.recv(), if !session.lock().is_over() => {
                let made = session.take(tag.as_ref());
                shared.metrics.hls_segments.inc_by(made);
            }
            _ = looks.tick() => if session.lock().asked.elapsed() > shared.config.hls_idle {
                break;
            },
        }
    }
    let mut sessions = shared.hls.lock();
    if sessions
        .get(&name)
        .is_some_and(|other| Arc::ptr_eq(other, &session))
    {
        sessions.remove(&name);
    }
    shared.metrics.hls_streams.dec();
}

impl Sessions {
    fn get(&self, name: &StreamName) -> Option<Arc<Session>> {
        self.lock().get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamName, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            state: Mutex::new(State {
                segmenter: Segmenter::new(first_number(now)),
                asked: Instant::now(),
                ended: false,
                failed: None,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes a tag, or the end; says how many segments that made.
    fn take(&self, tag: Option<&lianmai_rtmp::Tag>) -> u64 {
        let mut state = self.lock();
        let before = state.segmenter.next_number();
        let taken = match tag {
            Some(tag) => state.segmenter.push(tag),
            None => {
                state.ended = true;
                state.segmenter.end()
            }
        };
        if let Err(error) = taken {
            tracing::warn!(%error, "a stream cannot be watched by HLS");
            state.failed = Some(error.to_string());
        }
        let made = state.segmenter.next_number() - before;
        if made > 0 || state.is_over() {
            self.changed.notify_waiters();
        }
        made
    }

    async fn playlist(&self) -> Result<String, HlsError> {
        let first = async {
            loop {
                let changed = self.changed.notified();
                if let Some(answer) = self.touch().playlist() {
                    return answer;
                }
                changed.await;
            }
        };
        tokio::time::timeout(FIRST_WITHIN, first)
            .await
            .unwrap_or(Err(HlsError::NotYet))
    }

    /// Somebody asks.
    fn touch(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.asked = Instant::now();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A later session of a stream has higher numbers than an earlier one: three a second are more than a stream makes, and they
/// stay within the 31 bits that some players have until 2046.
fn first_number(since_1970: Duration) -> u64 {
    let counted = since_1970.saturating_sub(Duration::from_secs(1_700_000_000));
    u64::try_from(counted.as_millis() * 3 / 1000).unwrap_or_default()
}

impl State {
    const fn is_over(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// `None` while there is nothing to play yet.
    fn playlist(&mut self) -> Option<Result<String, HlsError>> {
        if let Some(reason) = &self.failed {
            return Some(Err(HlsError::Unsupported(reason.clone())));
        }
        match self.segmenter.playlist() {
            Some(list) => Some(Ok(list)),
            None => self.ended.then_some(Err(HlsError::NotFound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HlsFile, first_number};
    use std::time::Duration;

    #[test]
    fn numbers_never_come_again_and_fit_into_31_bits() {
        let at = |seconds| first_number(Duration::from_secs(seconds));
        let (start, later) = (at(1_795_828_472), at(1_795_828_472 + 60));
        assert!(later - start > 60 * 100 / 45, "{start} and {later}");
        assert!(at(1_795_828_472 + 10 * 365 * 86_400) < 1 << 31);
    }

    #[test]
    fn names_are_those_of_the_list_and_no_others() {
        for (name, file) in [
            ("index.m3u8", Some(HlsFile::Playlist)),
            ("init-17.mp4", Some(HlsFile::Map(17))),
            ("17.m4s", Some(HlsFile::Segment(17))),
            ("017.m4s", None),
            ("+17.m4s", None),
            ("99999999999999999999.m4s", None),
            ("init-.mp4", None),
            ("17.ts", None),
            ("", None),
        ] {
            assert_eq!(HlsFile::named(name), file, "{name}");
        }
    }
}
