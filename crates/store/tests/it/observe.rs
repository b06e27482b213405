//! Everything that the port shows of a small store.

use std::collections::BTreeMap;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::{Engine, JournalEntry, ListQuery, Row, StoredAnswer};

pub const TABLES: [&str; 2] = ["delivery", "car"];
pub const INDEXES: [&str; 3] = ["", "by_day", "by_state"];
pub const STREAMS: [&str; 2] = ["log", "other"];
pub const QUEUES: [&str; 2] = ["send", "expire"];
pub const PRINCIPALS: [&str; 2] = ["merchant", "driver"];
pub const KEYS: [&str; 3] = ["k1", "k2", "k3"];

#[derive(PartialEq, Eq, Default)]
pub struct Observed {
    pub lists: BTreeMap<(&'static str, &'static str), Vec<Row>>,
    pub journal: Vec<JournalEntry>,
    pub streams: BTreeMap<&'static str, (u64, Vec<Vec<u8>>)>,
    pub due: BTreeMap<&'static str, Option<Timestamp>>,
    pub answers: BTreeMap<(&'static str, &'static str), Option<StoredAnswer>>,
}

/// Reads the store through every reading verb, in small pages.
pub async fn observe(engine: &dyn Engine) -> Observed {
    let mut seen = Observed::default();
    for table in TABLES {
        for index in INDEXES {
            let rows = seen.lists.entry((table, index)).or_default();
            let mut cursor = None;
            loop {
                let (table, index) = (table.to_owned(), index.to_owned());
                let query = ListQuery { table, index, prefix: Vec::new(), cursor, limit: 3 };
                let page = engine.list(query).await.expect("lists");
                rows.extend(page.rows);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            if index.is_empty() {
                for row in rows {
                    assert_eq!(engine.get(table, &row.id).await.expect("reads").as_ref(), Some(&*row));
                }
            }
        }
    }
    loop {
        let page = engine.journal_all(seen.journal.len() as u64, 500).await.expect("reads");
        if page.is_empty() {
            break;
        }
        seen.journal.extend(page);
    }
    for stream in STREAMS {
        let length = engine.stream_len(stream).await.expect("reads");
        seen.streams.insert(stream, (length, engine.read_stream(stream, 0, 1000).await.expect("reads")));
    }
    for queue in QUEUES {
        seen.due.insert(queue, engine.next_due(queue).await.expect("reads"));
    }
    for principal in PRINCIPALS {
        for key in KEYS {
            seen.answers.insert((principal, key), engine.replay(principal, key).await.expect("reads"));
        }
    }
    seen
}

impl Observed {
    /// Where two stores differ, in words; `None` if nowhere.
    pub fn difference(&self, other: &Self) -> Option<String> {
        macro_rules! part {
            ($field:ident) => {
                if self.$field != other.$field {
                    return Some(format!("{}: {:?} and {:?}", stringify!($field), self.$field, other.$field));
                }
            };
        }
        part!(lists);
        part!(journal);
        part!(streams);
        part!(due);
        part!(answers);
        None
    }
}
