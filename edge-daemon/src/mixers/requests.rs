//! Snapshots that somebody waits for.

use crate::snapshots::{Snapshot, SnapshotError};
use lianmai_mixer_control::SnapshotId;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Who waits for a snapshot.
pub(crate) type SnapshotReply = oneshot::Sender<Result<Snapshot, SnapshotError>>;

/// Of one room at a time.
const MAX_WAITING: usize = 32;

/// All who wait for one mixer process. A mixer answers within seconds, or is found dead.
#[derive(Debug, Default)]
pub(super) struct Requests {
    next: u32,
    waiting: BTreeMap<SnapshotId, SnapshotReply>,
}

impl Requests {
    /// One more waits; the number is what the mixer is asked under. Nothing if it was refused.
    pub(super) fn push(&mut self, reply: SnapshotReply) -> Option<SnapshotId> {
        self.waiting.retain(|_, reply| !reply.is_closed());
        if self.waiting.len() >= MAX_WAITING {
            // Who went away does not want its answer.
            let _ = reply.send(Err(SnapshotError::Waiting));
            return None;
        }
        let id = SnapshotId(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(id, reply);
        Some(id)
    }

    /// The answer is there; one that nobody waits for is none.
    pub(super) fn answer(&mut self, id: SnapshotId, answer: Result<Snapshot, SnapshotError>) {
        if let Some(reply) = self.waiting.remove(&id) {
            let _ = reply.send(answer);
        }
    }

    /// The process is gone, and nobody gets an answer of it.
    pub(super) fn give_up(&mut self) {
        for reply in std::mem::take(&mut self.waiting).into_values() {
            let _ = reply.send(Err(SnapshotError::Starting));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_WAITING, Requests};
    use crate::snapshots::SnapshotError;
    use lianmai_mixer_control::{NoSnapshot, SnapshotId};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn each_gets_its_own_answer_and_nobody_waits_for_a_dead_process() {
        let mut requests = Requests::default();
        let ((one, first), (two, second)) = (oneshot::channel(), oneshot::channel());
        let ids = (requests.push(one), requests.push(two));
        assert_eq!(ids, (Some(SnapshotId(0)), Some(SnapshotId(1))));
        requests.answer(SnapshotId(1), Err(NoSnapshot::NoPicture.into()));
        requests.answer(SnapshotId(1), Err(NoSnapshot::Busy.into()));
        let answer = second.await.expect("an answer");
        assert!(matches!(answer, Err(SnapshotError::None(NoSnapshot::NoPicture))));
        requests.give_up();
        assert!(matches!(
            first.await.expect("an answer"),
            Err(SnapshotError::Starting)
        ));
    }

    #[tokio::test]
    async fn so_many_wait_and_who_went_away_makes_room() {
        let mut requests = Requests::default();
        let mut waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let (reply, answer) = oneshot::channel();
                assert!(requests.push(reply).is_some());
                answer
            })
            .collect();
        let (reply, answer) = oneshot::channel();
        assert_eq!(requests.push(reply), None);
        assert!(matches!(
            answer.await.expect("an answer"),
            Err(SnapshotError::Waiting)
        ));
        waiting.pop();
        assert!(requests.push(oneshot::channel().0).is_some());
    }
}
