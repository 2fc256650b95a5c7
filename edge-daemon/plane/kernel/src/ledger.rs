//! What a daemon must never forget of its keys: which packet indices were used up under them.
//!
//! The ledger is memory that outlives the process: a file without a name, whose size is sealed, mapped here and kept
//! open by somebody else. A process that dies at any instant leaves it so that the next one takes no index for fresh that was used.
//! Of records that a killed process was about to make or to end nothing is left, and then nothing was used with them.

mod file;
mod record;
#[cfg(test)]
mod tests;

pub use file::BadLedger;
pub use record::{RTCP_WORDS, RTP_WORDS, Record, Window};

use crate::mapping::Mapping;
use file::{HEADER, RECORD, RECORDS};
use record::Field;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whose record: an endpoint under one pair of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The endpoint.
    pub endpoint: u64,
    /// A hash of both keys, so that new keys never find what belongs to old ones.
    pub keys: [u64; 2],
}

/// Of what a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The pair of keys itself. Without one there is nothing of these keys.
    Link,
    /// An SSRC that the endpoint sends under.
    Inbound,
    /// An SSRC that is sent to the endpoint.
    Outbound,
}

/// All records of one owner that an earlier process left.
#[derive(Debug)]
pub struct Left {
    /// That of the keys.
    pub link: Record,
    /// Those of SSRCs.
    pub streams: Vec<(Kind, u32, Record)>,
}

/// A bounded number of records. Clones are the same ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Arc<Mapping>,
    len: u32,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Behind all records that were ever used.
    next: u32,
    free: Vec<u32>,
    left: BTreeMap<Owner, Vec<u32>>,
}

impl Ledger {
    /// An empty one, and the file to keep open.
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let file = file::create()?;
        let memory = Mapping::of_file(file.as_fd(), file::size(RECORDS))?;
        file::mark(&memory);
        Ok((Self::over(Arc::new(memory), RECORDS, Book::default()), file))
    }

    /// What an earlier process left in this file.
    pub fn adopt(file: &OwnedFd) -> Result<Self, BadLedger> {
        let memory = file::open(file)?;
        let book = Book::left(&memory, RECORDS);
        Ok(Self::over(Arc::new(memory), RECORDS, book))
    }

    /// The same memory as the next process finds it, if this one is killed now.
    #[must_use]
    pub fn left_in_memory(&self) -> Self {
        let (memory, len) = (Arc::clone(&self.inner.memory), self.inner.len);
        let book = Book::left(&memory, len);
        Self::over(memory, len, book)
    }

    /// One that goes with the process.
    pub fn in_memory(len: u32) -> io::Result<Self> {
        let memory = Mapping::anonymous(file::size(len))?;
        Ok(Self::over(Arc::new(memory), len, Book::default()))
    }

    fn over(memory: Arc<Mapping>, len: u32, book: Book) -> Self {
        let inner = Inner {
            memory,
            len,
            book: Mutex::new(book),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A new record, in which nothing was used yet. None while all are in use.
    #[must_use]
    pub fn record(&self, kind: Kind, owner: Owner, ssrc: u32) -> Option<Record> {
        let mut book = self.book();
        let number = match book.free.pop() {
            Some(number) => number,
            None if book.next < self.inner.len => {
                book.next += 1;
                self.inner
                    .memory
                    .word(file::NEXT)
                    .store(u64::from(book.next), Release);
                book.next - 1
            }
            None => return None,
        };
        drop(book);
        let record = self.at(number);
        record.begin(kind, owner, ssrc);
        Some(record)
    }

    /// What an earlier process left of this owner. `None` if it does not know these keys: then it did not use them, or ended
    /// their use.
    #[must_use]
    pub fn take(&self, owner: Owner) -> Option<Left> {
        let numbers = self.book().left.remove(&owner)?;
        let records = numbers.into_iter().map(|number| self.at(number));
        let (mut link, mut streams) = (None, Vec::new());
        for record in records {
            match record.kind() {
                Some(Kind::Link) => link = Some(record),
                Some(kind) => streams.push((kind, record.ssrc(), record)),
                None => {}
            }
        }
        Some(Left { link: link?, streams })
    }

    /// Forgets what nobody took.
    pub fn forget_the_rest(&self) {
        let left = std::mem::take(&mut self.book().left);
        for number in left.into_values().flatten() {
            drop(self.at(number));
        }
    }

    /// How many records are in use.
    #[must_use]
    pub fn used(&self) -> u32 {
        let book = self.book();
        book.next - u32::try_from(book.free.len()).unwrap_or(book.next)
    }

    fn at(&self, number: u32) -> Record {
        Record::new(Arc::clone(&self.inner.memory), number, self.clone())
    }

    fn give_back(&self, number: u32) {
        let kind = at(number) + Field::Kind.offset();
        self.inner.memory.word(kind).store(0, Relaxed);
        self.book().free.push(number);
    }

    /// Numbers are on one list or none at any moment, so a panic elsewhere does no harm.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// What stands in memory that another process wrote.
    fn left(memory: &Mapping, len: u32) -> Self {
        let next = (memory.word(file::NEXT).load(Acquire) as u32).min(len);
        let mut book = Self {
            next,
            ..Self::default()
        };
        for number in 0..next {
            match record::owner(memory, at(number)) {
                Some(owner) => book.left.entry(owner).or_default().push(number),
                None => book.free.push(number),
            }
        }
        book
    }
}

fn at(number: u32) -> usize {
    HEADER + number as usize * RECORD
}
