//! Who publishes, who plays, and what goes from one to the others. No clock, no I/O.

use crate::cache::GopCache;
use crate::config::OriginConfig;
use crate::metrics::Metrics;
use crate::name::StreamName;
use crate::outlet::Outlet;
use lianmai_rtmp::{Rebase, Tag};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tells one publisher, or one player, from the others; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerId(u64);

/// Why somebody may not publish or play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Taken,
    TooManyStreams,
    TooManyCohosts,
    NotFound,
    TooManyPlayers,
}

/// One stream, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The room.
    pub name: StreamName,
    /// Whether somebody publishes it now; otherwise its players wait.
    pub publishing: bool,
    /// Players, RTMP and FLV.
    pub players: usize,
    /// Whether pictures were announced.
    pub video: bool,
    /// Whether sound was announced.
    pub audio: bool,
    /// Since the stream began, or began again.
    pub age: Duration,
}

#[derive(Debug)]
pub(crate) struct Hub {
    config: OriginConfig,
    metrics: Metrics,
    streams: BTreeMap<StreamName, Stream>,
    next_peer: u64,
    players: usize,
}

#[derive(Debug)]
struct Stream {
    publisher: Option<PeerId>,
    /// When the publisher came, or left.
    since: Instant,
    last_tag: Instant,
    rebase: Rebase,
    cache: GopCache,
    players: BTreeMap<PeerId, Arc<Outlet>>,
}

impl Hub {
    pub(crate) fn new(config: OriginConfig, metrics: Metrics) -> Self {
        Self {
            config,
            metrics,
            streams: BTreeMap::new(),
            next_peer: 0,
            players: 0,
        }
    }

    /// Makes the caller the one publisher of `name`.
    pub(crate) fn publish(&mut self, now: Instant, name: &StreamName) -> Result<PeerId, Denied> {
        let id = self.next_id();
        if let Some(stream) = self.streams.get_mut(name) {
            if stream.publisher.is_some() {
                return Err(Denied::Taken);
            }
            stream.resume(now, id, &self.config);
        } else {
            if self.streams.len() >= self.config.max_streams {
                return Err(Denied::TooManyStreams);
            }
            if name.user().is_some() && self.cohosts() >= self.max_cohosts() {
                return Err(Denied::TooManyCohosts);
            }
            self.streams
                .insert(name.clone(), Stream::new(now, id, &self.config));
        }
        self.metrics.publishers.inc();
        Ok(id)
    }

    /// A tag from a publisher.
    pub(crate) fn push(&mut self, now: Instant, name: &StreamName, publisher: PeerId, tag: &Tag) {
        let Some(stream) = self
            .streams
            .get_mut(name)
            .filter(|stream| stream.publisher == Some(publisher))
        else {
            return;
        };
        stream.push(now, tag, &self.metrics);
    }

    /// The publisher is gone; its players wait. A room need not wait for a co-host: it left.
    pub(crate) fn unpublish(&mut self, now: Instant, name: &StreamName, publisher: PeerId) {
        let Some(stream) = self
            .streams
            .get_mut(name)
            .filter(|stream| stream.publisher == Some(publisher))
        else {
            return;
        };
        stream.pause(now);
        self.metrics.publishers.dec();
        if name.user().is_some()
            && let Some(stream) = self.streams.remove(name)
        {
            self.end(&stream);
        }
    }

    /// Adds a player.
    pub(crate) fn play(&mut self, name: &StreamName) -> Result<(PeerId, Arc<Outlet>), Denied> {
        if self.players >= self.config.max_players {
            return Err(Denied::TooManyPlayers);
        }
        let id = self.next_id();
        let stream = self.streams.get_mut(name).ok_or(Denied::NotFound)?;
        let outlet = stream.add_player(id, &self.config);
        self.players += 1;
        self.metrics.players.inc();
        Ok((id, outlet))
    }

    /// Whether somebody publishes it now.
    pub(crate) fn is_publishing(&self, name: &StreamName) -> bool {
        self.streams
            .get(name)
            .is_some_and(|stream| stream.publisher.is_some())
    }

    /// A player is gone.
    pub(crate) fn leave(&mut self, name: &StreamName, player: PeerId) {
        let removed = self
            .streams
            .get_mut(name)
            .and_then(|stream| stream.players.remove(&player));
        if removed.is_some() {
            self.forget_players(1);
        }
    }

    /// Ends the streams whose publisher did not come back in time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let hold = self.config.hold;
        let vacant = |stream: &Stream| {
            stream.publisher.is_none() && now.saturating_duration_since(stream.since) >= hold
        };
        let over: Vec<_> = self.streams.extract_if(.., |_, stream| vacant(stream)).collect();
        for (_, stream) in over {
            self.end(&stream);
        }
    }

    /// Ends everything.
    pub(crate) fn end_all(&mut self) {
        for stream in std::mem::take(&mut self.streams).into_values() {
            if stream.publisher.is_some() {
                self.metrics.publishers.dec();
            }
            self.end(&stream);
        }
    }

    pub(crate) fn streams(&self, now: Instant) -> Vec<StreamInfo> {
        let info = |(name, stream): (&StreamName, &Stream)| StreamInfo {
            name: name.clone(),
            publishing: stream.publisher.is_some(),
            players: stream.players.len(),
            video: stream.cache.headers().has_video(),
            audio: stream.cache.headers().has_audio(),
            age: now.saturating_duration_since(stream.since),
        };
        self.streams.iter().map(info).collect()
    }

    fn end(&mut self, stream: &Stream) {
        stream.players.values().for_each(|outlet| outlet.end());
        self.forget_players(stream.players.len());
    }

    fn forget_players(&mut self, count: usize) {
        self.players -= count;
        self.metrics
            .players
            .dec_by(i64::try_from(count).unwrap_or_default());
    }

    fn cohosts(&self) -> usize {
        self.streams.keys().filter(|name| name.user().is_some()).count()
    }

    fn max_cohosts(&self) -> usize {
        self.config.cohosts.as_ref().map_or(0, |cohosts| cohosts.max)
    }

    fn next_id(&mut self) -> PeerId {
        self.next_peer += 1;
        PeerId(self.next_peer)
    }
}

impl Stream {
    fn new(now: Instant, publisher: PeerId, config: &OriginConfig) -> Self {
        Self {
            publisher: Some(publisher),
            since: now,
            last_tag: now,
            rebase: Rebase::as_published(),
            cache: GopCache::new(config.cache),
            players: BTreeMap::new(),
        }
    }

    /// The publisher is back, or another took its place, with a timeline of its own: it is put where the old one would be by
    /// now, so that the players' clocks go on.
    fn resume(&mut self, now: Instant, publisher: PeerId, config: &OriginConfig) {
        let gap = i64::try_from(now.saturating_duration_since(self.last_tag).as_millis()).unwrap_or_default();
        self.rebase = Rebase::starting_at(self.rebase.latest() + gap);
        self.publisher = Some(publisher);
        self.since = now;
        self.cache = GopCache::new(config.cache);
        self.players.values().for_each(|outlet| outlet.interrupt());
    }

    fn pause(&mut self, now: Instant) {
        self.publisher = None;
        self.since = now;
        self.cache.clear_group();
    }

    fn push(&mut self, now: Instant, tag: &Tag, metrics: &Metrics) {
        let tag = self.rebase.apply(tag);
        self.last_tag = now;
        if self.cache.push(&tag) {
            metrics.cache_overflows.inc();
        }
        let dropped = self.players.values().map(|outlet| outlet.push(tag.clone())).sum();
        metrics.dropped_frames.inc_by(dropped);
    }

    fn add_player(&mut self, id: PeerId, config: &OriginConfig) -> Arc<Outlet> {
        let latest = u32::try_from(self.rebase.latest().rem_euclid(1 << 32)).unwrap_or_default();
        let outlet = Arc::new(Outlet::new(
            config.queue,
            self.cache.headers(),
            self.cache.group(),
            latest,
        ));
        self.players.insert(id, Arc::clone(&outlet));
        outlet
    }
}

#[cfg(test)]
mod tests;
