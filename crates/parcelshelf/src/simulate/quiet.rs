//! Whether everybody sleeps: every thread of every process of the simulation, at one and the same moment.
//!
//! The operating system is asked, not the programs: a request in a socket's buffer has already made its reader runnable,
//! and a thread that waits for the disk is in another state than one that waits for an event. Two rounds of looks make one
//! moment: a thread that slept in both and was not run in between slept at every moment between them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// One thread's files below `/proc`, kept open.
struct Thread {
    stat: File,
    schedstat: File,
    runs: u64,
}

/// Looks at processes. Keeps their files open between looks.
#[derive(Default)]
pub struct Watcher {
    threads: HashMap<(u32, u32), Thread>,
}
impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watcher({} threads)", self.threads.len())
    }
}

impl Watcher {
    /// True if every thread of these processes, `but` one of this process, slept at one moment during the call.
    pub fn all_sleep(&mut self, processes: &[u32], but: u32) -> bool {
        let Some(first) = self.round(processes, but, true) else { return false };
        self.round(processes, but, false) == Some(first)
    }

    /// Looks at each thread once. The number of threads seen; `None` as soon as one is not asleep, or (second round) was
    /// run since it was looked at.
    fn round(&mut self, processes: &[u32], but: u32, first: bool) -> Option<usize> {
        let mut seen = 0;
        for process in processes {
            let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
            for task in tasks.flatten() {
                let Some(id) = task.file_name().to_str().and_then(|t| t.parse::<u32>().ok()) else { continue };
                if id == but {
                    continue;
                }
                seen += 1;
                let key = (*process, id);
                if !self.threads.contains_key(&key) {
                    if !first {
                        return None;
                    }
                    // It ended in this very moment: whoever heard of that is looked at, too.
                    let Some(thread) = Thread::open(*process, id) else { continue };
                    self.threads.insert(key, thread);
                }
                let thread = self.threads.get_mut(&key)?;
                match thread.asleep(first) {
                    Some(true) => {}
                    Some(false) => return None,
                    None => {
                        self.threads.remove(&key);
                        return None;
                    }
                }
            }
        }
        Some(seen)
    }
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
