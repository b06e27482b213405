//! Whether everybody sleeps: every thread of every process of the simulation, at one and the same moment.
//!
//! The operating system is asked, not the programs: a request in a socket's buffer has already made its reader runnable,
//! and a thread that waits for the disk is in another state than one that waits for an event. Two rounds of looks make one
//! moment: a thread that slept in both and was not run in between slept at every moment between them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// One thread's files below `/proc`, kept open.
struct Thread {
    stat: File,
    schedstat: File,
    runs: u64,
}

/// One process with the threads that it had when they were last counted.
struct Process {
    /// Its own file: the kernel counts its threads there.
    stat: File,
    threads: Vec<(u32, Thread)>,
}

/// Looks at processes. Keeps their files open between looks.
#[derive(Default)]
pub struct Watcher {
    processes: HashMap<u32, Process>,
    /// Who was awake at the last look: most likely it still is, and nobody else need be looked at.
    awake: Option<(u32, u32)>,
}
impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watcher({} processes)", self.processes.len())
    }
}

impl Watcher {
    /// True if every thread of these processes, `but` one of this process, slept at one moment during the call.
    pub fn all_sleep(&mut self, processes: &[u32], but: u32) -> bool {
        if let Some((process, id)) = self.awake.take()
            && let Some(known) = self.processes.get(&process)
            && let Some((_, thread)) = known.threads.iter().find(|(thread, _)| *thread == id)
            && thread.sleeps() == Some(false)
        {
            self.awake = Some((process, id));
            return false;
        }
        self.round(processes, but, true) && self.round(processes, but, false)
    }

    /// Looks at each thread once. False as soon as one is not asleep, or (second round) was run since it was looked at, or
    /// there are others than before.
    fn round(&mut self, processes: &[u32], but: u32, first: bool) -> bool {
        for &pid in processes {
            let known = match self.processes.entry(pid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(_) if !first => return false,
                Entry::Vacant(new) => match Process::open(pid) {
                    Some(process) => new.insert(process),
                    // It has ended.
                    None => continue,
                },
            };
            match known.look(but, first) {
                Look::Asleep => {}
                Look::Awake(id) => {
                    self.awake = Some((pid, id));
                    return false;
                }
                Look::Changed => {
                    self.processes.remove(&pid);
                    return false;
                }
            }
        }
        true
    }
}

/// What a look at one process has shown.
enum Look {
    Asleep,
    /// This thread is not.
    Awake(u32),
    /// Its threads are not those that were known.
    Changed,
}

impl Process {
    fn open(pid: u32) -> Option<Self> {
        let stat = File::open(format!("/proc/{pid}/stat")).ok()?;
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let ids = tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok());
        let threads = ids.map(|id| Some((id, Thread::open(pid, id)?))).collect::<Option<Vec<_>>>()?;
        Some(Self { stat, threads })
    }

    /// Threads that begin or end change the count or take a known one away: a thread that nobody knows cannot run unseen.
    fn look(&mut self, but: u32, first: bool) -> Look {
        if threads_of(&self.stat) != Some(self.threads.len()) {
            return Look::Changed;
        }
        for (id, thread) in &mut self.threads {
            if *id == but {
                continue;
            }
            match thread.asleep(first) {
                Some(true) => {}
                Some(false) => return Look::Awake(*id),
                None => return Look::Changed,
            }
        }
        Look::Asleep
    }
}

/// How many threads a process has: field 20 of its `stat` (proc(5)).
fn threads_of(stat: &File) -> Option<usize> {
    let mut bytes = [0; 512];
    let n = stat.read_at(&mut bytes, 0).ok()?;
    let text = bytes.get(..n)?;
    // The name in parentheses may hold anything; the field after it is the third.
    let end = text.iter().rposition(|b| *b == b')')?;
    std::str::from_utf8(text.get(end + 1..)?).ok()?.split_ascii_whitespace().nth(17)?.parse().ok()
}

impl Thread {
    fn open(process: u32, id: u32) -> Option<Self> {
        let file = |name: &str| File::open(format!("/proc/{process}/task/{id}/{name}")).ok();
        Some(Self { stat: file("stat")?, schedstat: file("schedstat")?, runs: 0 })
    }
    /// `None` when the thread is gone.
    fn asleep(&mut self, first: bool) -> Option<bool> {
        if first {
            self.runs = self.runs()?;
            return self.sleeps();
        }
        Some(self.sleeps()? && self.runs()? == self.runs)
    }
    /// State `S` (proc(5)): waiting for an event. `D`, waiting for the disk, is work under way.
    fn sleeps(&self) -> Option<bool> {
        let mut bytes = [0; 128];
        let n = self.stat.read_at(&mut bytes, 0).ok()?;
        let text = bytes.get(..n)?;
        // The name in parentheses may hold anything.
        let end = text.iter().rposition(|b| *b == b')')?;
        Some(matches!(text.get(end + 2), Some(b'S' | b'Z')))
    }
    /// How often it was run: the third number of `schedstat`.
    fn runs(&self) -> Option<u64> {
        let mut bytes = [0; 96];
        let n = self.schedstat.read_at(&mut bytes, 0).ok()?;
        std::str::from_utf8(bytes.get(..n)?).ok()?.split_whitespace().nth(2)?.parse().ok()
    }
}

/// This thread's number.
///
/// # Errors
/// When `/proc` is not there.
pub fn this_thread() -> std::io::Result<u32> {
    let link = fs::read_link("/proc/thread-self")?;
    let id = link.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok());
    id.ok_or_else(|| std::io::Error::other("/proc/thread-self names no thread"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_waits_sleeps_and_one_that_works_does_not() {
        let mut idle = Command::new("sleep").arg("60").spawn().unwrap();
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let mut watcher = Watcher::default();
        let seen = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            watcher.all_sleep(&[idle.id()], 0)
        });
        assert!(seen, "a sleeping process was never seen asleep");
        assert!(
            !(0..50).any(|_| watcher.all_sleep(&[idle.id(), busy.id()], 0)),
            "a working process was taken for asleep"
        );
        for child in [&mut idle, &mut busy] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
