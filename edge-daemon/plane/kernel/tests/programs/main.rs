//! The kernel programs, run on real packets by the kernel itself (`BPF_PROG_TEST_RUN`). Publishers seal with `webrtc-srtp`,
//! and every packet that leaves is opened by it.

mod floor;
mod forgeries;
mod keys;
mod packets;
mod replays;
mod sealing;
mod stage;
mod unusual;
mod vectors;
