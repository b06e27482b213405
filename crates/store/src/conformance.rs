//! The suite that every engine passes.
//!
//! Each check is a promise of the port, told on tables, queues and streams of its own, so all of them run on one engine
//! and in any order. A check panics with words when its promise is broken. The engine must be fresh: names of the checks
//! are not in it yet.

use std::collections::BTreeSet;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;

use crate::{
    AnswerWrite, Append, BATCH_CHANGES_MAX, Batch, Check, CommitError, Conflict, Engine, INDEX_KEYS_MAX, JobWrite,
    JournalWrite, KEY_BYTES_MAX, ListQuery, NAME_BYTES_MAX, PAGE_ROWS_MAX, Put, Row, STREAM_ENTRIES_MAX, StoredAnswer,
    VALUE_BYTES_MAX, Version,
};

/// Runs every check on one fresh engine.
pub async fn all(engine: &dyn Engine) {
    a_row_is_written_read_and_removed(engine).await;
    whoever_comes_second_is_told(engine).await;
    a_check_guards_what_was_only_read(engine).await;
    changes_of_one_batch_see_each_other(engine).await;
    a_refused_batch_leaves_nothing(engine).await;
    of_many_writers_exactly_one_wins(engine).await;
    pages_follow_an_index_and_meet_every_row_once(engine).await;
    a_prefix_is_a_stretch_of_bytes(engine).await;
    an_index_key_moves_with_its_row(engine).await;
    a_foreign_cursor_shows_nothing_more(engine).await;
    the_journal_is_dense_and_in_order(engine).await;
    a_stream_is_dense_from_zero(engine).await;
    a_job_is_claimed_once_until_its_lease_ends(engine).await;
    jobs_come_longest_waiting_first(engine).await;
    a_done_job_is_gone_and_a_replaced_one_starts_anew(engine).await;
    an_idempotency_key_is_answered_once(engine).await;
    answers_are_forgotten_by_age(engine).await;
    the_journal_is_forgotten_from_its_beginning(engine).await;
    bounds_are_kept_and_nothing_is_stored_beyond_them(engine).await;
    names_and_ids_are_any_bytes(engine).await;
    numbers_beyond_the_end_show_nothing(engine).await;
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

fn put(table: &str, id: &[u8], expected: Version, state: &[u8]) -> Put {
    Put { table: table.to_owned(), id: id.to_vec(), expected, state: state.to_vec(), index: [].into() }
}

fn indexed(table: &str, id: &[u8], expected: Version, keys: &[(&str, &[u8])]) -> Put {
    let index = keys.iter().map(|(name, key)| ((*name).to_owned(), key.to_vec())).collect();
    Put { index, ..put(table, id, expected, b"state") }
}

fn check(table: &str, id: &[u8], version: Version) -> Check {
    Check { table: table.to_owned(), id: id.to_vec(), version }
}

fn event(table: &str, id: &[u8], kind: &str) -> JournalWrite {
    JournalWrite { table: table.to_owned(), id: id.to_vec(), kind: kind.to_owned(), event: b"{}".to_vec() }
}

fn append(stream: &str, bytes: &[u8]) -> Append {
    Append { stream: stream.to_owned(), bytes: bytes.to_vec() }
}

fn job(queue: &str, id: &[u8], run_at: i64) -> JobWrite {
    JobWrite { queue: queue.to_owned(), id: id.to_vec(), run_at: ms(run_at), payload: id.to_vec() }
}

fn answer(principal: &str, key: &str, at: i64) -> AnswerWrite {
    let answer = StoredAnswer { request_hash: [7; 32], status: 201, body: b"body".to_vec(), at: ms(at) };
    AnswerWrite { principal: principal.to_owned(), key: key.to_owned(), answer }
}

async fn commit_puts(engine: &dyn Engine, puts: Vec<Put>) {
    engine.commit(Batch { puts, ..Batch::default() }).await.expect("the puts are in order");
}

async fn get(engine: &dyn Engine, table: &str, id: &[u8]) -> Option<Row> {
    engine.get(table, id).await.expect("the engine reads")
}

async fn refused(engine: &dyn Engine, batch: Batch) -> Conflict {
    match engine.commit(batch).await {
        Err(CommitError::Conflict(conflict)) => conflict,
        other => panic!("a conflict was due, not {other:?}"),
    }
}

/// Ids of all rows, page by page, with the number of pages.
async fn walk(engine: &dyn Engine, table: &str, index: &str, prefix: &[u8], limit: u32) -> (Vec<Vec<u8>>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = engine.list(query(table, index, prefix, cursor, limit)).await.expect("the engine lists");
        assert!(page.rows.len() <= limit as usize, "a page holds at most what was asked for");
        ids.extend(page.rows.into_iter().map(|row| row.id));
        pages += 1;
        assert!(pages <= 1000, "the pages come to an end");
        cursor = page.next;
        if cursor.is_none() {
            return (ids, pages);
        }
    }
}

fn query(table: &str, index: &str, prefix: &[u8], cursor: Option<Vec<u8>>, limit: u32) -> ListQuery {
    ListQuery { table: table.to_owned(), index: index.to_owned(), prefix: prefix.to_vec(), cursor, limit }
}

/// A row gets version 1, then one more with every write; after its removal it begins again.
pub async fn a_row_is_written_read_and_removed(engine: &dyn Engine) {
    let t = "row";
    assert_eq!(get(engine, t, b"a").await, None);
    commit_puts(engine, vec![put(t, b"a", Version::Absent, b"one")]).await;
    let row = get(engine, t, b"a").await.expect("it was written");
    assert_eq!(row, Row { id: b"a".to_vec(), version: 1, state: b"one".to_vec() });
    commit_puts(engine, vec![put(t, b"a", row.expected(), b"two")]).await;
    let row = get(engine, t, b"a").await.expect("it was written again");
    assert_eq!((row.version, row.state.as_slice()), (2, b"two".as_slice()));
    assert_eq!(get(engine, "row2", b"a").await, None, "tables do not share ids");
    let remove = Batch { deletes: vec![check(t, b"a", row.expected())], ..Batch::default() };
    engine.commit(remove).await.expect("its version held");
    assert_eq!(get(engine, t, b"a").await, None);
    commit_puts(engine, vec![put(t, b"a", Version::Absent, b"three")]).await;
    assert_eq!(get(engine, t, b"a").await.map(|r| r.version), Some(1));
}

/// Every wrong expectation is a conflict that names the row.
pub async fn whoever_comes_second_is_told(engine: &dyn Engine) {
    let t = "second";
    commit_puts(engine, vec![put(t, b"a", Version::Absent, b"one")]).await;
    for (id, expected) in [
        (b"a", Version::Absent),
        (b"a", Version::Is(0)),
        (b"a", Version::Is(2)),
        (b"a", Version::Is(u64::MAX)),
        (b"b", Version::Is(0)),
        (b"b", Version::Is(1)),
        (b"b", Version::Is(u64::MAX)),
    ] {
        let named = Conflict { table: t.to_owned(), id: id.to_vec() };
        let write = Batch { puts: vec![put(t, id, expected, b"late")], ..Batch::default() };
        assert_eq!(refused(engine, write).await, named, "put, {expected:?}");
        let remove = Batch { deletes: vec![check(t, id, expected)], ..Batch::default() };
        assert_eq!(refused(engine, remove).await, named, "delete, {expected:?}");
    }
    assert_eq!(get(engine, t, b"a").await.map(|r| r.state), Some(b"one".to_vec()));
    assert_eq!(get(engine, t, b"b").await, None);
}

/// A decision that read a row without writing it is refused when that row changed.
pub async fn a_check_guards_what_was_only_read(engine: &dyn Engine) {
    let t = "guard";
    commit_puts(engine, vec![put(t, b"consent", Version::Absent, b"given")]).await;
    let open = |id: &[u8], consent, recall| Batch {
        checks: vec![check(t, b"consent", consent), check(t, b"recall", recall)],
        puts: vec![put(t, id, Version::Absent, b"open")],
        ..Batch::default()
    };
    engine.commit(open(b"1", Version::Is(1), Version::Absent)).await.expect("both checks hold");
    commit_puts(engine, vec![put(t, b"consent", Version::Is(1), b"withdrawn")]).await;
    assert_eq!(refused(engine, open(b"2", Version::Is(1), Version::Absent)).await.id, b"consent");
    assert_eq!(refused(engine, open(b"2", Version::Is(2), Version::Is(1))).await.id, b"recall");
    assert_eq!(get(engine, t, b"2").await, None);
}

/// Checks come first, then puts in order, then deletes: each sees what came before it in the batch.
pub async fn changes_of_one_batch_see_each_other(engine: &dyn Engine) {
    let t = "inner";
    let twice = Batch {
        checks: vec![check(t, b"a", Version::Absent)],
        puts: vec![put(t, b"a", Version::Absent, b"one"), put(t, b"a", Version::Is(1), b"two")],
        ..Batch::default()
    };
    engine.commit(twice).await.expect("the second put expects what the first left");
    assert_eq!(get(engine, t, b"a").await.map(|r| (r.version, r.state)), Some((2, b"two".to_vec())));
    let brief = Batch {
        puts: vec![indexed(t, b"b", Version::Absent, &[("by", b"k")])],
        deletes: vec![check(t, b"b", Version::Is(1))],
        ..Batch::default()
    };
    engine.commit(brief).await.expect("a row may come and go in one batch");
    assert_eq!(get(engine, t, b"b").await, None);
    assert_eq!(walk(engine, t, "by", b"", 10).await.0, Vec::<Vec<u8>>::new());
    let again = Batch { deletes: vec![check(t, b"a", Version::Is(2)); 2], ..Batch::default() };
    refused(engine, again).await;
    assert!(get(engine, t, b"a").await.is_some(), "the first delete went with the second");
}

/// Rows, index keys, journal, streams, jobs and answers of a refused batch are as before.
pub async fn a_refused_batch_leaves_nothing(engine: &dyn Engine) {
    let t = "whole";
    commit_puts(engine, vec![indexed(t, b"a", Version::Absent, &[("by", b"old")])]).await;
    let waiting = Batch { jobs: vec![job(t, b"waiting", 5)], appends: vec![append(t, b"0")], ..Batch::default() };
    engine.commit(waiting).await.expect("nothing to refuse");
    let refuse = Batch {
        at: Some(ms(1)),
        checks: Vec::new(),
        puts: vec![
            indexed(t, b"a", Version::Is(1), &[("by", b"new")]),
            indexed(t, b"b", Version::Absent, &[("by", b"b")]),
            put(t, b"c", Version::Is(9), b"never"),
        ],
        deletes: Vec::new(),
        journal: vec![event(t, b"a", "never")],
        appends: vec![append(t, b"never")],
        jobs: vec![job(t, b"never", 1)],
        jobs_done: vec![(t.to_owned(), b"waiting".to_vec())],
        answer: Some(answer(t, "never", 1)),
    };
    assert_eq!(refused(engine, refuse.clone()).await.id, b"c");
    let late = Batch {
        puts: refuse.puts[..2].to_vec(),
        deletes: vec![check(t, b"a", Version::Is(2)), check(t, b"b", Version::Is(2))],
        ..refuse
    };
    assert_eq!(refused(engine, late).await.id, b"b");
    assert_eq!(get(engine, t, b"a").await.map(|r| r.version), Some(1));
    assert_eq!(get(engine, t, b"b").await, None);
    assert_eq!(walk(engine, t, "by", b"old", 10).await.0, [b"a"]);
    assert_eq!(walk(engine, t, "by", b"", 10).await.0, [b"a"]);
    assert!(engine.journal(t, b"a", 0, 10).await.expect("read").is_empty());
    assert_eq!(engine.stream_len(t).await.expect("read"), 1);
    assert_eq!(engine.next_due(t).await.expect("read"), Some(ms(5)), "the waiting job waits, the other is not there");
    assert_eq!(engine.replay(t, "never").await.expect("read"), None);
}

/// Sixteen writers decide on the same version at the same time.
pub async fn of_many_writers_exactly_one_wins(engine: &dyn Engine) {
    let t = "race";
    commit_puts(engine, vec![put(t, b"a", Version::Absent, b"start")]).await;
    let write = |n: u8| {
        engine.commit(Batch {
            puts: vec![put(t, b"a", Version::Is(1), &[n]), put(t, &[n], Version::Absent, b"mine")],
            appends: vec![append(t, &[n])],
            ..Batch::default()
        })
    };
    let mut results = Vec::new();
    // Polled together, so that an engine that groups has them in one group.
    let mut running: Vec<_> = (1..=16).map(write).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|commit| match commit.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                results.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "one wins: {results:?}");
    assert_eq!(results.iter().filter(|r| matches!(r, Err(CommitError::Conflict(_)))).count(), 15, "{results:?}");
    let winner = get(engine, t, b"a").await.expect("it was written").state;
    let there = walk(engine, t, "", b"", 100).await.0;
    assert_eq!(there.into_iter().collect::<BTreeSet<_>>(), [winner.clone(), b"a".to_vec()].into());
    assert_eq!(engine.read_stream(t, 0, 100).await.expect("read"), [winner]);
}

/// Keys need not be unique; rows with the same key come in the order of ids.
pub async fn pages_follow_an_index_and_meet_every_row_once(engine: &dyn Engine) {
    let t = "pages";
    let keys: [&[u8]; 5] = [b"", b"a", b"a\x00", b"b", b"\xff\xff"];
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for n in 0..23_u8 {
        rows.push((keys[usize::from(n * 7 % 5)].to_vec(), vec![n.wrapping_mul(41), n]));
    }
    for (key, id) in &rows {
        commit_puts(engine, vec![indexed(t, id, Version::Absent, &[("by", key), ("other", id)])]).await;
    }
    commit_puts(engine, vec![put(t, b"unindexed", Version::Absent, b"")]).await;
    rows.sort();
    let ids: Vec<_> = rows.iter().map(|(_, id)| id.clone()).collect();
    for limit in [1, 2, 7, 22, 23, 24] {
        let (found, pages) = walk(engine, t, "by", b"", limit).await;
        assert_eq!(found, ids, "limit {limit}");
        assert_eq!(pages, 23_usize.div_ceil(limit as usize), "no empty page at the end, limit {limit}");
    }
    let mut all_ids = ids;
    all_ids.push(b"unindexed".to_vec());
    all_ids.sort();
    assert_eq!(walk(engine, t, "", b"", 5).await.0, all_ids, "index \"\" lists by id, rows without keys too");
    let nothing = engine.list(query(t, "by", b"", None, 0)).await.expect("read");
    assert_eq!(nothing.rows.len(), 1, "a limit of 0 is taken as 1");
    let much = engine.list(query(t, "by", b"", None, u32::MAX)).await.expect("read");
    assert_eq!((much.rows.len(), much.next), (23, None));
    // A cursor points at a place, not at a row: a row that goes away does not end the walk.
    let first = engine.list(query(t, "", b"", None, 3)).await.expect("read");
    let last = first.rows.last().expect("three rows");
    let remove = Batch { deletes: vec![check(t, &last.id, last.expected())], ..Batch::default() };
    engine.commit(remove).await.expect("its version held");
    let second = engine.list(query(t, "", b"", first.next, 3)).await.expect("read");
    assert_eq!(second.rows.first().map(|r| &r.id), all_ids.get(3));
}

/// Prefixes compare bytewise, with 0xff bytes too.
pub async fn a_prefix_is_a_stretch_of_bytes(engine: &dyn Engine) {
    let t = "prefix";
    let keys: [&[u8]; 8] = [b"", b"a", b"ab", b"b", b"\xfe", b"\xff", b"\xff\x00", b"\xff\xff"];
    for key in keys {
        commit_puts(engine, vec![indexed(t, key, Version::Absent, &[("by", key)])]).await;
    }
    for prefix in keys {
        let due: Vec<_> = keys.iter().filter(|k| k.starts_with(prefix)).map(|k| k.to_vec()).collect();
        for index in ["", "by"] {
            assert_eq!(walk(engine, t, index, prefix, 1).await.0, due, "index {index:?}, prefix {prefix:?}");
        }
    }
    assert!(walk(engine, t, "by", b"c", 1).await.0.is_empty());
    assert!(walk(engine, t, "nothing", b"", 1).await.0.is_empty());
    assert!(
        walk(engine, t, "by", &[0xff; KEY_BYTES_MAX + 9], 1).await.0.is_empty(),
        "an overlong prefix finds nothing"
    );
}

/// A write replaces all keys of the row, a removal takes them away.
pub async fn an_index_key_moves_with_its_row(engine: &dyn Engine) {
    let t = "moves";
    commit_puts(engine, vec![indexed(t, b"a", Version::Absent, &[("by", b"1"), ("only", b"1")])]).await;
    commit_puts(engine, vec![indexed("moves2", b"a", Version::Absent, &[("by", b"1")])]).await;
    commit_puts(engine, vec![indexed(t, b"a", Version::Is(1), &[("by", b"2")])]).await;
    assert!(walk(engine, t, "by", b"1", 9).await.0.is_empty(), "the old key is gone");
    assert!(walk(engine, t, "only", b"", 9).await.0.is_empty(), "a key that was not written again is gone");
    assert_eq!(walk(engine, t, "by", b"2", 9).await.0, [b"a"]);
    engine
        .commit(Batch { deletes: vec![check(t, b"a", Version::Is(2))], ..Batch::default() })
        .await
        .expect("its version held");
    assert!(walk(engine, t, "by", b"", 9).await.0.is_empty());
    assert_eq!(walk(engine, "moves2", "by", b"", 9).await.0, [b"a"], "the other table's row kept its key");
}

/// A cursor comes back from outside and may be anything.
pub async fn a_foreign_cursor_shows_nothing_more(engine: &dyn Engine) {
    let t = "cursor";
    for key in [b"a1", b"b1", b"b2", b"c1"] {
        commit_puts(engine, vec![indexed(t, key, Version::Absent, &[("by", key)])]).await;
    }
    for forged in [b"".as_slice(), b"abc", b"\xff\xff\xff\xff", &[0xff; 600], b"\x00\x00\x00\x09short"] {
        let page = engine.list(query(t, "by", b"", Some(forged.to_vec()), 9)).await.expect("read");
        assert!(page.rows.is_empty() && page.next.is_none(), "forged {forged:?}");
    }
    let first = engine.list(query(t, "by", b"a", None, 1)).await.expect("read");
    assert_eq!(first.next, None, "one row, one page");
    let start = engine.list(query(t, "by", b"", None, 1)).await.expect("read").next.expect("more rows");
    let page = engine.list(query(t, "by", b"b", Some(start), 9)).await.expect("read");
    let ids: Vec<_> = page.rows.iter().map(|r| r.id.as_slice()).collect();
    assert_eq!(ids, [b"b1", b"b2"], "a cursor of a wider query never leads out of the prefix");
}

/// Sequence numbers rise without gaps, whatever is refused in between.
pub async fn the_journal_is_dense_and_in_order(engine: &dyn Engine) {
    let t = "journal";
    let write = |at, kinds: &[&str]| Batch {
        at,
        journal: kinds.iter().map(|kind| event(t, b"a", kind)).chain([event(t, b"b", "side")]).collect(),
        ..Batch::default()
    };
    let first = engine.commit(write(Some(ms(5)), &["one", "two"])).await.expect("nothing to refuse").journal;
    assert_eq!(first.len(), 3);
    let refuse = Batch { checks: vec![check(t, b"none", Version::Is(1))], ..write(None, &["never"]) };
    refused(engine, refuse).await;
    let second = engine.commit(write(None, &["three"])).await.expect("nothing to refuse").journal;
    let all: Vec<u64> = first.iter().chain(&second).copied().collect();
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1), "{all:?}");
    let of_row = engine.journal(t, b"a", 0, 10).await.expect("read");
    let told: Vec<_> = of_row.iter().map(|e| (e.seq, e.kind.as_str(), e.at.unix_millis())).collect();
    assert_eq!(told, [(all[0], "one", 5), (all[1], "two", 5), (all[3], "three", 0)]);
    assert!(of_row.iter().all(|e| e.table == t && e.id == b"a" && e.event == b"{}"));
    let rest = engine.journal(t, b"a", all[0], 1).await.expect("read");
    assert_eq!(rest.iter().map(|e| e.seq).collect::<Vec<_>>(), [all[1]], "after the first, at most one");
    let outbox = engine.journal_all(all[0] - 1, u32::MAX).await.expect("read");
    assert_eq!(outbox.iter().map(|e| e.seq).collect::<Vec<_>>(), all);
    assert_eq!(engine.journal_all(all[0] - 1, 2).await.expect("read").len(), 2);
    assert!(engine.journal_all(all[4], 9).await.expect("read").is_empty());
    // More than a page: the answer is clamped, and the reader goes on where it ended.
    let many = Batch { journal: vec![event(t, b"c", "many"); BATCH_CHANGES_MAX], ..Batch::default() };
    for _ in 0..2 {
        engine.commit(many.clone()).await.expect("nothing to refuse");
    }
    let page = engine.journal(t, b"c", 0, u32::MAX).await.expect("read");
    assert_eq!(page.len(), PAGE_ROWS_MAX as usize);
    let rest = engine.journal(t, b"c", page[page.len() - 1].seq, u32::MAX).await.expect("read");
    assert_eq!(page.len() + rest.len(), 2 * BATCH_CHANGES_MAX);
}

/// Positions are given in the order of the batch; streams do not disturb each other.
pub async fn a_stream_is_dense_from_zero(engine: &dyn Engine) {
    let (s, other) = ("stream", "stream2");
    assert_eq!(engine.stream_len(s).await.expect("read"), 0);
    assert!(engine.read_stream(s, 0, 9).await.expect("read").is_empty());
    let batch = Batch { appends: vec![append(s, b"0"), append(other, b"x"), append(s, b"1")], ..Batch::default() };
    assert_eq!(engine.commit(batch).await.expect("nothing to refuse").appended, [0, 0, 1]);
    let batch = Batch { appends: vec![append(s, b""), append(other, b"y")], ..Batch::default() };
    assert_eq!(engine.commit(batch).await.expect("nothing to refuse").appended, [2, 1]);
    assert_eq!(engine.stream_len(s).await.expect("read"), 3);
    assert_eq!(engine.read_stream(s, 0, 9).await.expect("read"), [b"0".to_vec(), b"1".to_vec(), Vec::new()]);
    assert_eq!(engine.read_stream(s, 1, 1).await.expect("read"), [b"1"]);
    assert!(engine.read_stream(s, 3, 9).await.expect("read").is_empty());
    // More than an answer may hold.
    let mut length = 3;
    while length <= u64::from(STREAM_ENTRIES_MAX) {
        let many = Batch { appends: vec![append(s, &length.to_be_bytes()); BATCH_CHANGES_MAX], ..Batch::default() };
        length += engine.commit(many).await.expect("nothing to refuse").appended.len() as u64;
    }
    assert_eq!(engine.stream_len(s).await.expect("read"), length);
    let stretch = engine.read_stream(s, 0, u32::MAX).await.expect("read");
    assert_eq!(stretch.len(), STREAM_ENTRIES_MAX as usize);
    let rest = engine.read_stream(s, u64::from(STREAM_ENTRIES_MAX), u32::MAX).await.expect("read");
    assert_eq!(rest.len() as u64, length - u64::from(STREAM_ENTRIES_MAX));
}

/// Due at `run_at`, not before; leased until `now + lease`, not longer.
pub async fn a_job_is_claimed_once_until_its_lease_ends(engine: &dyn Engine) {
    let q = "lease";
    let lease = Duration::from_millis(50);
    assert_eq!(engine.next_due(q).await.expect("read"), None);
    let jobs = vec![job(q, b"j", 100), job("lease2", b"j", 0)];
    engine.commit(Batch { jobs, ..Batch::default() }).await.expect("nothing to refuse");
    assert_eq!(engine.next_due(q).await.expect("read"), Some(ms(100)));
    assert!(engine.claim(q, ms(99), lease, 9).await.expect("claim").is_empty(), "not due yet");
    assert!(engine.claim(q, ms(100), lease, 0).await.expect("claim").is_empty(), "nobody asked for one");
    let claimed = engine.claim(q, ms(100), lease, 9).await.expect("claim");
    assert_eq!(claimed.len(), 1);
    let first = &claimed[0];
    assert_eq!((first.queue.as_str(), first.id.as_slice(), first.payload.as_slice()), (q, &b"j"[..], &b"j"[..]));
    assert_eq!((first.run_at, first.attempts), (ms(100), 1));
    assert_eq!(engine.next_due(q).await.expect("read"), Some(ms(150)), "when the lease ends");
    assert!(engine.claim(q, ms(149), lease, 9).await.expect("claim").is_empty(), "leased");
    let again = engine.claim(q, ms(150), Duration::MAX, 9).await.expect("claim");
    assert_eq!(again.iter().map(|j| j.attempts).collect::<Vec<_>>(), [2]);
    assert_eq!(engine.next_due(q).await.expect("read"), Some(ms(i64::MAX)), "the longest lease ends with time");
}

/// Whatever can be claimed longest comes first, ids decide between equals.
pub async fn jobs_come_longest_waiting_first(engine: &dyn Engine) {
    let q = "order";
    let jobs = vec![job(q, b"d", 30), job(q, b"c", 10), job(q, b"b", 20), job(q, b"a", 20), job(q, b"z", 99)];
    engine.commit(Batch { jobs, ..Batch::default() }).await.expect("nothing to refuse");
    let ids = |jobs: Vec<crate::Job>| jobs.into_iter().map(|j| j.id).collect::<Vec<_>>();
    let lease = Duration::from_millis(5);
    assert_eq!(ids(engine.claim(q, ms(20), lease, 2).await.expect("claim")), [b"c", b"a"]);
    assert_eq!(engine.next_due(q).await.expect("read"), Some(ms(20)));
    // The leases of c and a ended at 25, after b was ready and before d was.
    assert_eq!(ids(engine.claim(q, ms(40), lease, 9).await.expect("claim")), [b"b", b"a", b"c", b"d"]);
}

/// A worker may say that its job is done and write the next one under the same name, in one batch.
pub async fn a_done_job_is_gone_and_a_replaced_one_starts_anew(engine: &dyn Engine) {
    let q = "done";
    let done = |id: &[u8]| vec![(q.to_owned(), id.to_vec())];
    let lease = Duration::from_millis(1000);
    let jobs = vec![job(q, b"a", 1), job(q, b"b", 1)];
    engine.commit(Batch { jobs, ..Batch::default() }).await.expect("nothing to refuse");
    assert_eq!(engine.claim(q, ms(1), lease, 9).await.expect("claim").len(), 2);
    let batch = Batch { jobs_done: done(b"a"), ..Batch::default() };
    engine.commit(batch.clone()).await.expect("nothing to refuse");
    engine.commit(batch).await.expect("done twice is done");
    let next = Batch { jobs: vec![job(q, b"b", 3)], jobs_done: done(b"b"), ..Batch::default() };
    engine.commit(next).await.expect("nothing to refuse");
    assert_eq!(engine.next_due(q).await.expect("read"), Some(ms(3)), "no lease of the job before");
    let claimed = engine.claim(q, ms(3), lease, 9).await.expect("claim");
    let told: Vec<_> = claimed.iter().map(|j| (j.id.as_slice(), j.run_at, j.attempts)).collect();
    assert_eq!(told, [(&b"b"[..], ms(3), 1)]);
    let replaced = Batch { jobs: vec![job(q, b"b", 2)], ..Batch::default() };
    engine.commit(replaced).await.expect("nothing to refuse");
    assert_eq!(engine.claim(q, ms(3), lease, 9).await.expect("claim").len(), 1, "replaced without being done");
}

/// The second request with a key gets the first one's answer, and changes nothing.
pub async fn an_idempotency_key_is_answered_once(engine: &dyn Engine) {
    let t = "answer";
    assert_eq!(engine.replay(t, "k").await.expect("read"), None);
    let request = |id: &[u8], key: &str| Batch {
        puts: vec![put(t, id, Version::Absent, b"made")],
        answer: Some(answer(t, key, 1)),
        ..Batch::default()
    };
    engine.commit(request(b"1", "k")).await.expect("the first request");
    assert_eq!(engine.replay(t, "k").await.expect("read"), Some(answer(t, "k", 1).answer));
    assert_eq!(engine.replay("answer2", "k").await.expect("read"), None, "keys belong to a principal");
    // The key is looked at before the versions: a repeated request conflicts with its own first one.
    for id in [b"1", b"2"] {
        match engine.commit(request(id, "k")).await {
            Err(CommitError::Replayed(stored)) => assert_eq!(stored, answer(t, "k", 1).answer),
            other => panic!("a replay was due, not {other:?}"),
        }
    }
    assert_eq!(get(engine, t, b"2").await, None);
    refused(engine, request(b"1", "k2")).await;
    assert_eq!(engine.replay(t, "k2").await.expect("read"), None, "a refused request has no answer");
}

/// The whole store is asked, so this check uses times of its own, far behind all others.
pub async fn answers_are_forgotten_by_age(engine: &dyn Engine) {
    let p = "forget";
    engine.forget_answers(ms(1_000_000)).await.expect("forget");
    for (key, at) in [("old", 1_000_000), ("edge", 1_000_010), ("new", 1_000_011)] {
        let batch = Batch { answer: Some(answer(p, key, at)), ..Batch::default() };
        engine.commit(batch).await.expect("a new key");
    }
    assert_eq!(engine.forget_answers(ms(1_000_010)).await.expect("forget"), 1);
    assert_eq!(engine.forget_answers(ms(1_000_010)).await.expect("forget"), 0);
    assert_eq!(engine.replay(p, "old").await.expect("read"), None);
    assert!(engine.replay(p, "edge").await.expect("read").is_some(), "stored at the limit is not before it");
    let again = Batch { answer: Some(answer(p, "old", 1_000_020)), ..Batch::default() };
    engine.commit(again).await.expect("a forgotten key is free");
}

/// What has exactly the largest size is stored; one more is refused whole.
/// What was there before is forgotten first, whatever its times.
pub async fn the_journal_is_forgotten_from_its_beginning(engine: &dyn Engine) {
    while engine.forget_journal(ms(i64::MAX)).await.expect("forget") > 0 {}
    assert_eq!(engine.journal_all(0, 10).await.expect("read"), []);
    let mut last = 0;
    for (id, at) in [(b"1", 100), (b"2", 200), (b"3", 150)] {
        let journal = vec![event("old", id, "happened")];
        let committed = engine.commit(Batch { at: Some(ms(at)), journal, ..Batch::default() }).await.expect("commit");
        assert!(last == 0 || committed.journal == [last + 1], "numbers go on");
        last = committed.journal[0];
    }
    assert!(last > 3, "numbers are never given again");
    assert_eq!(engine.forget_journal(ms(100)).await.expect("forget"), 0, "written at the limit is not before it");
    assert_eq!(engine.forget_journal(ms(160)).await.expect("forget"), 1, "what lies behind a younger one waits for it");
    let left: Vec<_> = engine.journal_all(0, 10).await.expect("read").into_iter().map(|e| e.id).collect();
    assert_eq!(left, [b"2", b"3"]);
}

pub async fn bounds_are_kept_and_nothing_is_stored_beyond_them(engine: &dyn Engine) {
    let t = "bounds";
    let name = |n| "n".repeat(n);
    let at_most = Batch {
        puts: vec![Put {
            index: (0..INDEX_KEYS_MAX).map(|n| (format!("{n:0>NAME_BYTES_MAX$}"), vec![1; KEY_BYTES_MAX])).collect(),
            ..put(&name(NAME_BYTES_MAX), &[1; KEY_BYTES_MAX], Version::Absent, &vec![1; VALUE_BYTES_MAX])
        }],
        appends: vec![append(&name(NAME_BYTES_MAX), b""); BATCH_CHANGES_MAX - 1],
        ..Batch::default()
    };
    engine.commit(at_most).await.expect("exactly at the bounds");
    let row = get(engine, &name(NAME_BYTES_MAX), &[1; KEY_BYTES_MAX]).await.expect("it was written");
    assert_eq!(row.state.len(), VALUE_BYTES_MAX);
    let puts = |put: Put| Batch { puts: vec![put], ..Batch::default() };
    let long_key = vec![1; KEY_BYTES_MAX + 1];
    let large = vec![1; VALUE_BYTES_MAX + 1];
    let keys = (0..=INDEX_KEYS_MAX).map(|n| (n.to_string(), Vec::new())).collect();
    let beyond = [
        ("name", puts(put(&name(NAME_BYTES_MAX + 1), b"a", Version::Absent, b""))),
        ("no name", puts(put("", b"a", Version::Absent, b""))),
        ("id", puts(put(t, &long_key, Version::Absent, b""))),
        ("state", puts(put(t, b"a", Version::Absent, &large))),
        ("index key", puts(indexed(t, b"a", Version::Absent, &[("by", &long_key)]))),
        ("index keys", puts(Put { index: keys, ..put(t, b"a", Version::Absent, b"") })),
        ("index name", puts(indexed(t, b"a", Version::Absent, &[("", b"k")]))),
        ("check", Batch { checks: vec![check(t, &long_key, Version::Absent)], ..Batch::default() }),
        ("delete", Batch { deletes: vec![check("", b"a", Version::Absent)], ..Batch::default() }),
        ("kind", Batch { journal: vec![event(t, b"a", "")], ..Batch::default() }),
        ("entry", Batch { appends: vec![append(t, &large)], ..Batch::default() }),
        ("stream", Batch { appends: vec![append("", b"")], ..Batch::default() }),
        ("job", Batch { jobs: vec![job(t, &long_key, 1)], ..Batch::default() }),
        ("queue", Batch { jobs_done: vec![(String::new(), b"a".to_vec())], ..Batch::default() }),
        ("principal", Batch { answer: Some(answer(&name(KEY_BYTES_MAX + 1), "k", 1)), ..Batch::default() }),
        ("changes", Batch { appends: vec![append(t, b""); BATCH_CHANGES_MAX + 1], ..Batch::default() }),
    ];
    for (what, mut batch) in beyond {
        if what != "changes" {
            batch.appends.push(append(t, b"never"));
        }
        let result = engine.commit(batch).await;
        assert!(matches!(result, Err(CommitError::TooLarge(_))), "{what}: {:?}", result.map(|_| ()));
    }
    assert_eq!(engine.stream_len(t).await.expect("read"), 0);
    assert_eq!(get(engine, t, b"a").await, None);
}

/// Bytes are not text: an id may be empty, hold zeros, or look like SQL.
pub async fn names_and_ids_are_any_bytes(engine: &dyn Engine) {
    let ids: [&[u8]; 5] = [b"", b"\x00", b"\x00\x00", b"' OR 1=1 --", b"\xc3\x28"];
    for table in ["bytes", "bytes'; DROP TABLE rows; --", "byt\u{e9}s", "BYTES", "bytes "] {
        for id in ids {
            commit_puts(engine, vec![indexed(table, id, Version::Absent, &[("by%", id)])]).await;
        }
        for id in ids {
            assert_eq!(get(engine, table, id).await.map(|r| r.id), Some(id.to_vec()), "{table:?} {id:?}");
        }
        for index in ["", "by%"] {
            assert_eq!(walk(engine, table, index, b"", 2).await.0, ids, "{table:?}");
        }
    }
}

/// Positions and numbers come from outside too.
pub async fn numbers_beyond_the_end_show_nothing(engine: &dyn Engine) {
    let t = "beyond";
    let batch = Batch { appends: vec![append(t, b"0")], journal: vec![event(t, b"a", "k")], ..Batch::default() };
    engine.commit(batch).await.expect("nothing to refuse");
    for far in [u64::MAX, 1 << 63, i64::MAX.unsigned_abs()] {
        assert!(engine.read_stream(t, far, 9).await.expect("read").is_empty(), "{far}");
        assert!(engine.journal(t, b"a", far, 9).await.expect("read").is_empty(), "{far}");
        assert!(engine.journal_all(far, 9).await.expect("read").is_empty(), "{far}");
    }
    assert!(engine.read_stream(t, 0, 0).await.expect("read").is_empty(), "nobody asked for one");
    assert!(engine.journal(t, b"a", 0, 0).await.expect("read").is_empty(), "nobody asked for one");
}
