//! The order of system calls shows that nobody is told of a commit before the log that carries it was flushed.
//!
//! A killed process loses nothing that it gave to the kernel, so killing alone cannot show this. Here a process runs
//! under `strace`, which sees every `write` and `fdatasync` in order: of each acknowledgement the log frames that carry
//! the batch, the frame that ends its transaction, and a flush between that frame and the acknowledgement must be found.

mod child;

use std::collections::BTreeMap;
use std::process::Command;

use child::{Manner, Orders};

const LOG: &str = "store.db-wal>";
/// Bytes of the header of a log frame. Its bytes 4 to 7 are zero except in the last frame of a transaction.
const FRAME_HEADER: usize = 24;

#[test]
#[ignore = "the child of the tests in this file: commits while strace watches"]
fn child() {
    child::run();
}

/// Every line that strace wrote about a child with these orders.
fn traced(orders: Orders) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "5000", "-e", "trace=fdatasync,fsync,write,pwrite64", "-o"]).arg(&trace);
    command.arg("--").arg(std::env::current_exe().expect("this binary"));
    child::prepare(&mut command, &folder.path().join("store.db"), orders);
    let output = command.output().unwrap_or_else(|error| {
        panic!("strace cannot be started ({error}). It is needed here: apt-get install strace, or scripts/setup.sh")
    });
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the traced child failed ({}): {errors}", output.status);
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(said.lines().filter_map(child::acknowledged).count() as u64, orders.count, "all were acknowledged");
    std::fs::read_to_string(trace).expect("strace wrote it")
}

/// What one line of the trace says.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// A call began; `ended` if the same line tells of its end.
    Began {
        thread: String,
        call: Call,
        ended: bool,
    },
    /// The call that this thread had under way ended well.
    Ended {
        thread: String,
    },
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    FlushLog,
    WriteLog(Vec<u8>),
    Acknowledge(u64),
    Other,
}

/// A string as strace prints it: quoted, with C's escapes.
fn unescape(quoted: &str) -> Vec<u8> {
    let Some(start) = quoted.find('"') else { return Vec::new() };
    let mut bytes = quoted.as_bytes()[start + 1..].iter().copied().peekable();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(b'r') => out.push(b'\r'),
                Some(b'v') => out.push(11),
                Some(b'f') => out.push(12),
                Some(digit @ b'0'..=b'7') => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(next) = bytes.next_if(|b| (b'0'..=b'7').contains(b)) else { break };
                        value = value * 8 + u32::from(next - b'0');
                    }
                    out.push(u8::try_from(value).expect("one byte"));
                }
                Some(other) => out.push(other),
                None => break,
            },
            plain => out.push(plain),
        }
    }
    out
}

fn parse(line: &str) -> Event {
    let Some((thread, rest)) = line.split_once(' ') else { return Event::Other };
    let (thread, rest) = (thread.to_owned(), rest.trim_start());
    if rest.starts_with("<... ") {
        return Event::Ended { thread };
    }
    let Some((name, arguments)) = rest.split_once('(') else { return Event::Other };
    let ended = !arguments.ends_with("<unfinished ...>");
    let target = arguments.split([',', ')']).next().unwrap_or_default().trim_end_matches(" <unfinished ...>");
    let call = match name {
        "fdatasync" | "fsync" if target.ends_with(LOG) => {
            assert!(!ended || arguments.ends_with("= 0"), "a flush failed: {line}");
            Call::FlushLog
        }
        "write" | "pwrite64" if target.ends_with(LOG) => Call::WriteLog(unescape(arguments)),
        "write" if target.starts_with("1<") => {
            let said = String::from_utf8(unescape(arguments)).unwrap_or_default();
            child::acknowledged(&said).map_or(Call::Other, Call::Acknowledge)
        }
        _ => Call::Other,
    };
    Event::Began { thread, call, ended }
}

/// What was found in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    acknowledged: u64,
    flushes: u64,
    frames: u64,
}

/// Where a batch is on its way to the disk. Moments are line numbers of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A frame with its words was written; its transaction has not ended.
    Written,
    /// The last frame of its transaction was written at this moment.
    Complete(usize),
}

/// Follows the trace; the first acknowledgement that came too early is an error.
fn follow(trace: &str) -> Result<Report, String> {
    let mut report = Report::default();
    let mut stages: BTreeMap<u64, Stage> = BTreeMap::new();
    // A flush covers what was written before it began, and counts when it ended.
    let mut flushed_up_to = 0;
    let mut under_way: BTreeMap<String, (usize, Call)> = BTreeMap::new();
    let mut last_of_transaction = false;
    for (moment, line) in trace.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        let ended = match parse(line) {
            Event::Other => continue,
            Event::Began { thread, call, ended } => {
                if let Call::Acknowledge(number) = call {
                    report.acknowledged += 1;
                    match stages.get(&number) {
                        Some(Stage::Complete(written)) if *written < flushed_up_to => {}
                        stage => {
                            return Err(format!(
                                "line {moment}: batch {number} acknowledged, {stage:?}, flushed up to {flushed_up_to}"
                            ));
                        }
                    }
                }
                if ended {
                    Some((moment, call))
                } else {
                    under_way.insert(thread, (moment, call));
                    None
                }
            }
            Event::Ended { thread } => {
                let finished = under_way.remove(&thread);
                if matches!(finished, Some((_, Call::FlushLog))) && !line.ends_with("= 0") {
                    return Err(format!("line {moment}: a flush failed"));
                }
                finished
            }
        };
        match ended {
            Some((began, Call::FlushLog)) => {
                report.flushes += 1;
                flushed_up_to = flushed_up_to.max(began);
            }
            Some((_, Call::WriteLog(header))) if header.len() == FRAME_HEADER => {
                report.frames += 1;
                last_of_transaction = header[4..8] != [0; 4];
            }
            Some((_, Call::WriteLog(page))) => {
                for number in numbers(&page) {
                    stages.entry(number).or_insert(Stage::Written);
                }
                if std::mem::take(&mut last_of_transaction) {
                    for stage in stages.values_mut().filter(|stage| **stage == Stage::Written) {
                        *stage = Stage::Complete(moment);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(report)
}

/// Numbers of all batches whose words are in these bytes.
fn numbers(bytes: &[u8]) -> Vec<u64> {
    let length = child::marker(0).len();
    let number = |words: &[u8]| {
        let number = std::str::from_utf8(words).ok()?.strip_prefix("batch-")?.strip_suffix('.')?.parse().ok()?;
        (child::marker(number).as_bytes() == words).then_some(number)
    };
    bytes.windows(length).filter_map(number).collect()
}

#[test]
fn nobody_is_told_before_the_flush_one_writer() {
    let orders = Orders { first: 0, count: 60, writers: 1, manner: Manner::Engine };
    let report = follow(&traced(orders)).expect("every acknowledgement came after its flush");
    println!("{report:?}");
    assert_eq!(report.acknowledged, 60);
    assert!(report.flushes >= 60, "one writer needs a flush for each batch: {report:?}");
}

#[test]
fn nobody_is_told_before_the_flush_many_writers() {
    let orders = Orders { first: 0, count: 320, writers: 16, manner: Manner::Engine };
    let report = follow(&traced(orders)).expect("every acknowledgement came after its flush");
    println!("{report:?}");
    assert_eq!(report.acknowledged, 320);
    assert!(report.flushes >= 320 / 16, "at most sixteen batches can be under way at once: {report:?}");
    assert!(report.flushes < 320, "batches of different writers share a flush: {report:?}");
}

/// The control: a store that does not flush is found out.
#[test]
fn a_store_that_does_not_flush_is_found_out() {
    let orders = Orders { first: 0, count: 5, writers: 1, manner: Manner::Careless };
    let error = follow(&traced(orders)).expect_err("it acknowledges without a flush");
    assert!(error.contains("batch 0 acknowledged, Some(Complete("), "the batch is in the log, unflushed: {error}");
}

/// The reader of traces itself, on traces written by hand.
#[test]
fn a_trace_is_read_in_order() {
    let header = r#"7 pwrite64(3</s/store.db-wal>, "\0\0\0\5\0\0\0\6\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 24, 32) = 24"#;
    let inner = header.replace(r"\0\0\0\6", r"\0\0\0\0");
    let page = r#"7 pwrite64(3</s/store.db-wal>, "\0\33batch-00000001.\0"..., 4096, 56) = 4096"#;
    let begin = "7 fdatasync(3</s/store.db-wal> <unfinished ...>";
    let end = "7 <... fdatasync resumed>)              = 0";
    let ack = r#"8 write(1<pipe:[5]>, "ack 1\n", 6)       = 6"#;
    let other = "7 fdatasync(4</s/store.db>)           = 0";
    assert_eq!(
        follow(&[header, page, begin, end, ack].join("\n")),
        Ok(Report { acknowledged: 1, flushes: 1, frames: 1 })
    );
    for early in [
        vec![header, page, ack, begin, end],
        vec![header, page, begin, ack, end],
        vec![begin, header, page, end, ack],
        vec![header, page, other, ack],
        // Flushed, and the transaction has not ended: recovery would drop it.
        vec![&inner, page, begin, end, ack],
        vec![header, page, begin, "7 <... fdatasync resumed>)  = -1 EIO (Input/output error)", ack],
        vec![ack],
    ] {
        assert!(follow(&early.join("\n")).is_err(), "{early:#?}");
    }
}
