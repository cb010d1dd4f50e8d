//! A partition while it is assigned to this process: from the record that is read to the commit that is acknowledged.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{Committed, Lanes};
use crate::{Output, Record, engine::Order};

#[derive(Debug)]
pub struct Partition {
    pub epoch: u64,
    /// As far as the broker has acknowledged it, and the offsets that turned out to hold no record.
    pub committed: Committed,
    pub phase: Phase,
    /// One past the last record that was admitted.
    next: i64,
    /// A record that was read although the window does not admit it yet.
    parked: Option<Arc<Record>>,
    /// Where the log ended, when the window does not admit that yet.
    end: Option<i64>,
    /// Offsets at the end turned out to hold no record, and no commit says so yet.
    pub skipped: bool,
    /// The commit under way says so.
    skips_sent: bool,
    /// Admitted and without a result: behind another of its lane, ready, or running.
    open: HashMap<i64, Open>,
    pub(super) lanes: Lanes,
    ready: VecDeque<i64>,
    /// Results in the order in which they are emitted, kept until the commit that carries them is acknowledged. A lane is
    /// released when its result is here, so that this order holds per lane, also when they are emitted again.
    pub ledger: VecDeque<Entry>,
    /// How many from the front of the ledger are in the transaction under way.
    pub sent: usize,
    /// How many in the ledger were no choice for the last batch: they are tried apart, or held back.
    pub apart: usize,
    /// Bytes of the records and results held.
    pub bytes: usize,
    /// Runs that found something down which their record needs: reading stops until there are none.
    pub stalled: usize,
    /// There was no room for a record when there last might have been one.
    pub left_unread: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    Active,
    /// About to leave: what runs may finish and is committed, nothing else is read or started.
    Finishing,
    /// Leaving: what is in the ledger is committed together with the release, nothing else happens.
    Draining,
    /// Neither read nor committed until an operator has acted.
    Stopped(String),
}

#[derive(Debug)]
struct Open {
    record: Arc<Record>,
    running: bool,
}

/// A result in the ledger.
#[derive(Debug, Clone)]
pub struct Entry {
    pub record: Arc<Record>,
    pub outputs: Arc<[Output]>,
    /// These already are what stands in place of a result that could not be.
    pub rejected: bool,
    /// It may be what broke a transaction: it is tried apart from the others.
    pub suspect: bool,
}

impl Partition {
    #[must_use]
    pub fn new(epoch: u64, committed: Committed, order: Order) -> Self {
        Self {
            epoch,
            next: committed.progress.watermark(),
            committed,
            phase: Phase::Active,
            parked: None,
            end: None,
            skipped: false,
            skips_sent: false,
            open: HashMap::new(),
            lanes: Lanes::new(order),
            ready: VecDeque::new(),
            ledger: VecDeque::new(),
            sent: 0,
            apart: 0,
            bytes: 0,
            stalled: 0,
            left_unread: false,
        }
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }

    /// Whether another record may be read: one that the window does not admit waits, and so does everything behind it.
    #[must_use]
    pub fn has_room(&self, ahead: usize, bytes: usize) -> bool {
        self.is_active() && self.stalled == 0 && self.parked.is_none() && self.ready.len() < ahead && self.bytes < bytes
    }

    /// A record was read. Those that are done already (their offset is in the map) end here.
    pub fn offer(&mut self, record: Arc<Record>) {
        if !self.is_active() || record.offset < self.next {
            return;
        }
        if !self.committed.progress.admits(self.next, record.offset) {
            self.bytes += record.size();
            self.parked = Some(record);
            return;
        }
        self.committed.progress.skip(self.next, record.offset);
        self.next = record.offset + 1;
        if self.committed.progress.contains(record.offset) {
            return;
        }
        self.bytes += record.size();
        if self.lanes.enter(record.key.as_ref(), record.offset) {
            self.ready.push_back(record.offset);
        }
        self.open.insert(record.offset, Open { record, running: false });
    }

    /// The log ends at this offset, as far as it is committed: between the last record that was read and it there is none.
    pub fn reach(&mut self, end: i64) {
        if !self.is_active() || end <= self.next || self.parked.is_some() {
            return;
        }
        if !self.committed.progress.admits(self.next, end - 1) {
            self.end = Some(end);
            return;
        }
        self.committed.progress.skip(self.next, end);
        self.next = end;
        // Also where a record before it is open: the commit that carries its result may be under way, and does not say it.
        self.skipped = true;
    }

    /// The commit that is made now says what was skipped.
    pub fn send_skips(&mut self) {
        self.skips_sent = std::mem::take(&mut self.skipped);
    }

    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.is_active() && !self.ready.is_empty()
    }

    pub fn start_next(&mut self) -> Option<Arc<Record>> {
        let open = self.open.get_mut(&self.ready.pop_front()?)?;
        open.running = true;
        Some(open.record.clone())
    }

    /// A run ended: its result is in the ledger from here on, and the next record of its lane may run. False if nobody
    /// waits for it any more.
    pub fn finish(&mut self, offset: i64, outputs: Arc<[Output]>, rejected: bool) -> bool {
        if !matches!(self.phase, Phase::Active | Phase::Finishing) {
            return false;
        }
        let Some(Open { record, .. }) = self.open.remove(&offset) else {
            return false;
        };
        self.bytes += size(&outputs);
        let key: Option<Bytes> = record.key.clone();
        self.ledger.push_back(Entry {
            record,
            outputs,
            rejected,
            suspect: false,
        });
        self.ready.extend(self.lanes.leave(key.as_ref()));
        true
    }

    /// What stands in place of a result that the broker refused. False if it is not there any more.
    pub fn replace(&mut self, offset: i64, outputs: Arc<[Output]>) -> bool {
        let Some(entry) = self.ledger.iter_mut().find(|entry| entry.record.offset == offset) else {
            return false;
        };
        self.bytes = (self.bytes + size(&outputs)).saturating_sub(entry.size());
        (entry.outputs, entry.rejected, entry.suspect) = (outputs, true, false);
        true
    }

    /// The commit under way is acknowledged.
    pub fn acknowledge(&mut self, writer: Option<String>) {
        for entry in self.ledger.drain(..self.sent) {
            self.bytes = self.bytes.saturating_sub(entry.record.size() + size(&entry.outputs));
            self.committed.progress.complete(entry.record.offset);
        }
        self.sent = 0;
        self.committed.seq += 1;
        self.committed.writer = writer;
        if let Some(record) = self.parked.take() {
            self.bytes = self.bytes.saturating_sub(record.size());
            self.offer(record);
        }
        self.skips_sent = false;
        if let Some(end) = self.end.take() {
            self.reach(end);
        }
    }

    /// The commit under way did not happen: the ledger emits it again.
    /// Returns what is dropped.
    pub fn keep(&mut self) -> Vec<Entry> {
        self.sent = 0;
        self.skipped |= std::mem::take(&mut self.skips_sent);
        match self.phase {
            Phase::Stopped(_) => self.drop_unsent(),
            Phase::Active | Phase::Finishing | Phase::Draining => Vec::new(),
        }
    }

    /// A commit that was acknowledged did not happen: this is committed. What it carried is to be taken back.
    pub fn undo_commit(&mut self, state: &Committed) {
        (self.committed.seq, self.committed.writer) = (state.seq, state.writer.clone());
        self.skipped = true;
    }

    /// What a commit carried comes back to the front of the ledger, and counts as not done until it is committed again. False if
    /// the window is too small for that.
    #[must_use]
    pub fn take_back(&mut self, entries: Vec<Entry>) -> bool {
        for entry in entries.into_iter().rev() {
            if !self.committed.progress.undo(entry.record.offset, self.next) {
                return false;
            }
            self.bytes += entry.record.size() + entry.size();
            self.ledger.push_front(Entry {
                suspect: false,
                ..entry
            });
        }
        true
    }

    /// Of this result some is readable already: the rest is emitted.
    pub fn reduce(&mut self, to: &Entry) {
        let found = self
            .ledger
            .iter_mut()
            .find(|entry| entry.record.offset == to.record.offset);
        if let Some(entry) = found.filter(|entry| entry.outputs.len() != to.outputs.len()) {
            self.bytes = (self.bytes + to.size()).saturating_sub(entry.size());
            (entry.outputs, entry.rejected) = (to.outputs.clone(), true);
        }
    }

    /// Nothing is read or started any more.
    pub fn let_finish(&mut self) {
        if self.is_active() {
            self.phase = Phase::Finishing;
        }
    }

    /// Nothing is read or run any more; the ledger stays. A stopped partition is given back in good order, too.
    pub fn drain(&mut self) {
        self.phase = Phase::Draining;
        self.clear();
    }

    /// What a commit under way carries stays until it is known what came of it: if it is acknowledged, a release must name
    /// these offsets as done.
    /// One that is leaving is released without the rest: whoever has it next will find out, too.
    pub fn stop(&mut self, message: String) -> Vec<Entry> {
        if self.is_active() {
            self.phase = Phase::Stopped(message);
        }
        self.clear();
        self.drop_unsent()
    }

    fn drop_unsent(&mut self) -> Vec<Entry> {
        let dropped: Vec<Entry> = self.ledger.drain(self.sent..).collect();
        let bytes: usize = dropped.iter().map(|entry| entry.record.size() + entry.size()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        dropped
    }

    /// Records without a result are left to whoever reads them next.
    fn clear(&mut self) {
        let open: usize = self.open.values().map(|open| open.record.size()).sum();
        let parked = self.parked.take().map_or(0, |record| record.size());
        self.bytes = self.bytes.saturating_sub(open + parked);
        self.open.clear();
        self.ready.clear();
        self.stalled = 0;
    }

    /// The lowest offset without a result that keeps the window from moving.
    #[must_use]
    pub fn oldest_open(&self) -> Option<&Record> {
        self.open
            .iter()
            .min_by_key(|(offset, _)| **offset)
            .map(|(_, open)| &*open.record)
    }

    /// How far beyond the watermark records were admitted.
    #[must_use]
    pub fn window(&self) -> i64 {
        (self.next - self.committed.progress.watermark()).max(0)
    }

    #[must_use]
    pub fn runs(&self) -> usize {
        self.open.values().filter(|open| open.running).count()
    }

    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.open.values().any(|open| open.running)
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.parked.is_some()
    }
}

impl Entry {
    #[must_use]
    pub fn size(&self) -> usize {
        size(&self.outputs)
    }
}

fn size(outputs: &[Output]) -> usize {
    let bytes = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    outputs
        .iter()
        .map(|output| bytes(&output.key) + bytes(&output.value))
        .sum()
}
