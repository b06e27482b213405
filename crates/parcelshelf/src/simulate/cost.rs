//! What a run costs: processor time by the operating system, bytes by the file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Clock ticks a second of `/proc/PID/stat` (proc(5): `sysconf(_SC_CLK_TCK)`, 100 on every Linux of our time).
const TICKS_PER_S: u64 = 100;

/// Processor time of a process since it began, its own and the kernel's for it; milliseconds. Zero if it is gone.
#[must_use]
pub fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, after)) = stat.rsplit_once(')') else { return 0 };
    // Fields 14 and 15, utime and stime; the first after the name is field 3.
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum::<u64>();
    ticks * 1_000 / TICKS_PER_S
}

/// The same by thread name: where a process spends its time. The runtime's threads carry the process's name.
#[must_use]
pub fn cpu_ms_by_thread(pid: u32) -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let name = stat.split_once('(').and_then(|(_, r)| r.rsplit_once(')')).map(|(n, _)| n.to_owned());
        let Some((_, after)) = stat.rsplit_once(')') else { continue };
        let ticks = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum::<u64>();
        *by_name.entry(name.unwrap_or_default()).or_default() += ticks * 1_000 / TICKS_PER_S;
    }
    by_name
}

/// What one service has counted of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Answered, by route.
    pub requests: BTreeMap<String, u64>,
    pub commits: u64,
    /// Of rows, sealed as they are stored.
    pub state_bytes: u64,
}

impl Counted {
    /// Reads what a service shows as metrics.
    #[must_use]
    pub fn read(metrics: &str) -> Self {
        let mut all = Self::default();
        for (name, value) in metrics.lines().filter_map(|line| line.rsplit_once(' ')) {
            let Ok(value) = value.parse::<u64>() else { continue };
            match (name, name.strip_prefix("http_requests_total{").and_then(|n| n.split_once("route=\""))) {
                ("store_commits_total", _) => all.commits = value,
                ("store_state_bytes_total", _) => all.state_bytes = value,
                (_, Some((_, route))) => {
                    let route = route.split('"').next().unwrap_or_default();
                    *all.requests.entry(route.to_owned()).or_default() += value;
                }
                _ => {}
            }
        }
        all
    }
    /// What has come since then. A service that was started anew has begun to count anew.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        for (route, count) in &mut self.requests {
            *count = count.saturating_sub(before.requests.get(route).copied().unwrap_or(0));
        }
        self.requests.retain(|_, count| *count > 0);
        self.commits = self.commits.saturating_sub(before.commits);
        self.state_bytes = self.state_bytes.saturating_sub(before.state_bytes);
        self
    }
}

/// Bytes in the files below a folder.
#[must_use]
pub fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_counts_is_read_and_taken_off() {
        let shown = |a: u64, b: u64| {
            format!(
                "# TYPE http_requests_total counter\nhttp_requests_total{{route=\"/v1/keys\",status=\"200\"}} {a}\n\
                 http_requests_total{{route=\"/v1/keys\",status=\"503\"}} 1\n\nstore_commits_total {b}\n\
                 store_state_bytes_total 900\npanics_total 0\n"
            )
        };
        let (before, after) = (Counted::read(&shown(4, 7)), Counted::read(&shown(9, 8)));
        assert_eq!(after.requests, BTreeMap::from([(String::from("/v1/keys"), 10)]));
        let since = after.since(&before);
        assert_eq!((since.requests["/v1/keys"], since.commits, since.state_bytes), (5, 1, 0));
        assert_eq!(before.clone().since(&before), Counted::default());
    }
}
