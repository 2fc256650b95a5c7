//! The `Conn` that the `dtls` crate speaks through: a queue of admitted records in, the shared socket out.

use super::inflow::{Admitted, Inflow};
use crate::endpoint::Validated;
use crate::metrics::{DropReason, Metrics};
use crate::parameters::DtlsRole;
use crate::socket::DatagramSink;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use webrtc_util::Conn;

/// A flight of a server has two or three datagrams.
const MAX_FLIGHT: usize = 8;
/// A peer that has not got our last flight after this many repetitions gives up.
const MAX_REPETITIONS: u32 = 20;

/// One association's connection to the network.
pub(super) struct Wire {
    inbound: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
    remote: watch::Receiver<Validated<SocketAddr>>,
    sink: Arc<dyn DatagramSink>,
    metrics: Metrics,
    role: DtlsRole,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inflow: Inflow,
    /// Admitted, but not yet read by the crate.
    ready: VecDeque<Vec<u8>>,
    flight: Flight,
    established: bool,
}

/// What we sent since we last heard anything, and the round trip that it measures.
#[derive(Default)]
struct Flight {
    datagrams: Vec<Vec<u8>>,
    heard_since: bool,
    sent_at: Option<Instant>,
    round_trip: Option<Duration>,
    repetitions: u32,
}

impl Wire {
    pub(super) fn new(
        inbound: mpsc::Receiver<Bytes>,
        remote: watch::Receiver<Validated<SocketAddr>>,
        sink: Arc<dyn DatagramSink>,
        metrics: Metrics,
        role: DtlsRole,
    ) -> Self {
        Self {
            inbound: tokio::sync::Mutex::new(inbound),
            remote,
            sink,
            metrics,
            role,
            state: Mutex::default(),
        }
    }

    /// Waits for a whole ClientHello, and keeps it for the crate. Never returns if none comes.
    pub(super) async fn client_hello(&self) -> Vec<u8> {
        loop {
            let datagram = self.receive().await;
            if let Some(hello) = self.admit(&datagram) {
                return hello;
            }
        }
    }

    /// The handshake is done: keep the rest of the network away from the crate, but answer lost last flights.
    pub(super) fn set_established(&self) {
        let mut state = self.state();
        state.established = true;
        state.inflow.set_established();
    }

    /// The shortest time between a flight of ours and its answer.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.state().flight.round_trip
    }

    /// An association that ends drops its sender; the crate must then not be told again and again.
    async fn receive(&self) -> Bytes {
        match self.inbound.lock().await.recv().await {
            Some(datagram) => datagram,
            None => std::future::pending().await,
        }
    }

    fn admit(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.state();
        let Admitted {
            records,
            client_hello,
            repeats,
            refused,
        } = state.inflow.push(datagram);
        self.metrics.count_drops(DropReason::DtlsRecord, refused);
        if !records.is_empty() && !state.established {
            state.flight.heard(Instant::now());
        }
        state.ready.extend(records);
        if repeats && self.role == DtlsRole::Server {
            let repetition = state.flight.repeat();
            repetition.iter().for_each(|datagram| self.transmit(datagram));
        }
        client_hello
    }

    fn transmit(&self, datagram: &[u8]) {
        let to = self.remote.borrow().get();
        if self.sink.send(to, datagram).is_err() {
            self.metrics.count_drops(DropReason::SendFailed, 1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    fn heard(&mut self, now: Instant) {
        self.heard_since = true;
        if let Some(sent) = self.sent_at.take() {
            let sample = now.saturating_duration_since(sent);
            self.round_trip = Some(self.round_trip.map_or(sample, |best| best.min(sample)));
        }
    }

    fn sent(&mut self, now: Instant, datagram: &[u8]) {
        if self.heard_since {
            self.datagrams.clear();
            self.heard_since = false;
        }
        self.sent_at.get_or_insert(now);
        if self.datagrams.len() < MAX_FLIGHT {
            self.datagrams.push(datagram.to_vec());
        }
    }

    /// The last flight as it was: what the peer has got of it, its replay protection drops.
    fn repeat(&mut self) -> Vec<Vec<u8>> {
        self.repetitions += 1;
        if self.repetitions > MAX_REPETITIONS {
            Vec::new()
        } else {
            self.datagrams.clone()
        }
    }
}

#[async_trait]
impl Conn for Wire {
    async fn connect(&self, _to: SocketAddr) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        loop {
            let ready = self.state().ready.pop_front();
            if let Some(record) = ready
                && let Some(room) = buffer.get_mut(..record.len())
            {
                room.copy_from_slice(&record);
                return Ok(record.len());
            }
            if self.state().ready.is_empty() {
                let datagram = self.receive().await;
                self.admit(&datagram);
            }
        }
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        let len = self.recv(buffer).await?;
        Ok((len, self.remote.borrow().get()))
    }

    async fn send(&self, datagram: &[u8]) -> Result<usize, webrtc_util::Error> {
        let mut state = self.state();
        if !state.established {
            state.flight.sent(Instant::now(), datagram);
        }
        drop(state);
        self.transmit(datagram);
        Ok(datagram.len())
    }

    async fn send_to(&self, datagram: &[u8], _to: SocketAddr) -> Result<usize, webrtc_util::Error> {
        self.send(datagram).await
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Err(webrtc_util::Error::Other("the socket is shared".to_owned()))
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.remote.borrow().get())
    }

    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
