//! What may be printed: names, ids and lengths, never what was stored. A batch or a row that ends up in a log line or in
//! a failed assertion gives nothing away.

use std::fmt;

use crate::{Append, Job, JobWrite, JournalEntry, JournalWrite, ListQuery, Page, Put, Row, StoredAnswer};

/// Content, of which only the length is shown.
struct Hidden<'a>(&'a [u8]);
impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// An id, readable where it is text.
struct Id<'a>(&'a [u8]);
impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("table", &self.table)
            .field("id", &Id(&self.id))
            .field("expected", &self.expected)
            .field("state", &Hidden(&self.state))
            .field("index", &self.index.keys())
            .finish()
    }
}
impl fmt::Debug for JournalWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWrite")
            .field("table", &self.table)
            .field("id", &Id(&self.id))
            .field("kind", &self.kind)
            .field("event", &Hidden(&self.event))
            .finish()
    }
}
impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append").field("stream", &self.stream).field("bytes", &Hidden(&self.bytes)).finish()
    }
}
impl fmt::Debug for JobWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWrite")
            .field("queue", &self.queue)
            .field("id", &Id(&self.id))
            .field("run_at", &self.run_at)
            .field("payload", &Hidden(&self.payload))
            .finish()
    }
}
impl fmt::Debug for StoredAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAnswer")
            .field("status", &self.status)
            .field("body", &Hidden(&self.body))
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("id", &Id(&self.id))
            .field("version", &self.version)
            .field("state", &Hidden(&self.state))
            .finish()
    }
}
/// A prefix and a cursor are made of index keys, which are content.
impl fmt::Debug for ListQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListQuery")
            .field("table", &self.table)
            .field("index", &self.index)
            .field("prefix", &Hidden(&self.prefix))
            .field("cursor", &self.cursor.as_deref().map(Hidden))
            .field("limit", &self.limit)
            .finish()
    }
}
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("rows", &self.rows).field("next", &self.next.as_deref().map(Hidden)).finish()
    }
}
impl fmt::Debug for JournalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalEntry")
            .field("seq", &self.seq)
            .field("table", &self.table)
            .field("id", &Id(&self.id))
            .field("kind", &self.kind)
            .field("event", &Hidden(&self.event))
            .field("at", &self.at)
            .finish()
    }
}
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("queue", &self.queue)
            .field("id", &Id(&self.id))
            .field("run_at", &self.run_at)
            .field("payload", &Hidden(&self.payload))
            .field("attempts", &self.attempts)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use parcelshelf_core::time::Timestamp;

    use crate::{
        AnswerWrite, Append, Batch, CommitError, JobWrite, JournalWrite, ListQuery, Page, Put, Row, StoredAnswer,
        Version,
    };

    #[test]
    fn a_printed_batch_shows_no_content() {
        let secret = || b"KMFP1A2B3C".to_vec();
        let text = String::from;
        let answer = StoredAnswer { request_hash: [7; 32], status: 200, body: secret(), at: Timestamp::EPOCH };
        let batch = Batch {
            puts: vec![Put {
                table: text("car"),
                id: b"c-1".to_vec(),
                expected: Version::Absent,
                state: secret(),
                index: BTreeMap::from([(text("by_plate"), secret())]),
            }],
            journal: vec![JournalWrite { table: text("car"), id: b"c-1".to_vec(), kind: text("k"), event: secret() }],
            appends: vec![Append { stream: text("log"), bytes: secret() }],
            jobs: vec![JobWrite { queue: text("q"), id: b"j".to_vec(), run_at: Timestamp::EPOCH, payload: secret() }],
            answer: Some(AnswerWrite { principal: text("p"), key: text("k"), answer: answer.clone() }),
            ..Batch::default()
        };
        let query = ListQuery {
            table: text("car"),
            index: text("by_plate"),
            prefix: secret(),
            cursor: Some(secret()),
            limit: 1,
        };
        let page = Page { rows: vec![Row { id: b"c-1".to_vec(), version: 1, state: secret() }], next: Some(secret()) };
        let printed = format!("{batch:?} {:?} {query:?} {page:?}", CommitError::Replayed(answer));
        assert!(printed.contains("c-1") && printed.contains("<10 bytes>"), "{printed}");
        // As text, and as the list of numbers that a derived Debug would print.
        assert!(!printed.contains("KMFP1A2B3C") && !printed.contains("75, 77, 70"), "{printed}");
    }
}
