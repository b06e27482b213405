//! Children: the services as processes of their own, as an operator would run them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use crate::simulate::conductor::Conductor;

/// A child that was asked to stop and has not is killed after this; services drain for at most 30 s.
const STOP_PATIENCE: Duration = Duration::from_secs(35);
/// A service that is not ready by then will not be.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// How often the log is read for the line that says ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A service running as a child of this process. Killed when dropped.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    /// Length of the log when this run began, so that a restart does not find the last run's line.
    began_at: u64,
    /// Whoever moves the clock of a simulation, and the child's slot on the board.
    conductor: Option<(Arc<Conductor>, u16)>,
}

impl Service {
    /// Starts `parcelshelf ARGUMENTS…` with its output appended to `log`, and waits for a line that contains
    /// `"ready"` as services print it: `{"ready":"NAME","address":"…"}`.
    ///
    /// # Errors
    /// When the program cannot be started, ends early, or is not ready in time; the end of its log is in the error.
    pub async fn start(name: &'static str, arguments: Vec<String>, log: &Path) -> anyhow::Result<Self> {
        Self::start_driven(name, arguments, log, None).await
    }

    /// As [`Service::start`], with a clock that a conductor moves.
    ///
    /// # Errors
    /// As for [`Service::start`].
    pub async fn start_driven(
        name: &'static str,
        arguments: Vec<String>,
        log: &Path,
        conductor: Option<(Arc<Conductor>, u16)>,
    ) -> anyhow::Result<Self> {
        let mut service = Self { name, arguments, log: log.to_owned(), child: None, began_at: 0, conductor };
        service.restart(&[]).await?;
        Ok(service)
    }

    /// Starts the service again, with `extra` arguments for this run only.
    ///
    /// # Errors
    /// As for [`Service::start`].
    pub async fn restart(&mut self, extra: &[String]) -> anyhow::Result<()> {
        let _hold = self.conductor.as_ref().map(|(c, _)| c.hold());
        self.spawn(extra)?;
        self.wait_for(&format!("\"ready\":\"{}\"", self.name), READY_PATIENCE).await.map(drop)
    }

    fn spawn(&mut self, extra: &[String]) -> anyhow::Result<()> {
        let output = append(&self.log)?;
        self.began_at = output.metadata()?.len();
        let program = std::env::current_exe().context("failed to find this program")?;
        let program = program_beside(program);
        let mut command = Command::new(&program);
        command.args(&self.arguments).args(extra).stdin(Stdio::null());
        let mut bell = None;
        if let Some((conductor, slot)) = &self.conductor {
            let (ours, theirs) = UnixStream::pair()?;
            command.args(["--driven", &conductor.board().to_string_lossy(), &slot.to_string()]);
            command.stdin(Stdio::from(OwnedFd::from(theirs))).env("TOKIO_WORKER_THREADS", "1");
            bell = Some(ours);
        }
        let child = command
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        if let (Some((conductor, slot)), Some(bell), Some(pid)) = (&self.conductor, bell, child.id()) {
            conductor.join(*slot, pid, bell);
        }
        self.child = Some(child);
        Ok(())
    }

    /// The first line of this run's log that contains `text`.
    ///
    /// # Errors
    /// When the process ends first, or does not write it within `patience`.
    pub async fn wait_for(&mut self, text: &str, patience: Duration) -> anyhow::Result<String> {
        let looks = patience.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..looks {
            if let Some(line) = self.log_of_this_run()?.lines().find(|l| l.contains(text)) {
                return Ok(line.to_owned());
            }
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                bail!("{} ended with {status}; its log ends:\n{}", self.name, self.log_tail()?);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("{} did not say {text} in time; its log ends:\n{}", self.name, self.log_tail()?)
    }

    /// Whether this run's log contains `text` already.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn has_said(&self, text: &str) -> anyhow::Result<bool> {
        Ok(self.log_of_this_run()?.contains(text))
    }

    /// SIGKILL: no destructor, no flush, nothing runs after it.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            let _hold = self.conductor.as_ref().map(|(c, _)| c.hold());
            child.kill().await.with_context(|| format!("failed to kill {}", self.name))?;
            if let Some((conductor, slot)) = &self.conductor {
                conductor.leave(*slot);
            }
        }
        Ok(())
    }

    /// SIGTERM, and patience for the drain.
    ///
    /// # Errors
    /// When the process had to be killed instead.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = tokio::time::timeout(STOP_PATIENCE, child.wait()).await;
        if let Some((conductor, slot)) = &self.conductor {
            conductor.leave(*slot);
        }
        match ended {
            Ok(status) => status.map(drop).context("failed to wait for the child"),
            Err(_) => {
                child.kill().await?;
                bail!("{} did not stop within {} s and was killed", self.name, STOP_PATIENCE.as_secs())
            }
        }
    }

    /// Operating system's id of the running process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    fn log_of_this_run(&self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        let mut file = File::open(&self.log)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(self.began_at))?;
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn log_tail(&self) -> anyhow::Result<String> {
        let text = self.log_of_this_run()?;
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(12)..].join("\n"))
    }
}

fn append(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("failed to open the log {}", path.display()))
}

/// The `parcelshelf` binary: this program itself, or, inside a test, the one that was built beside it.
pub(crate) fn program_beside(current: PathBuf) -> PathBuf {
    if let Some(path) = std::env::var_os("CARGO_BIN_EXE_parcelshelf") {
        return PathBuf::from(path);
    }
    if current.file_stem().is_some_and(|name| name == "parcelshelf") {
        return current;
    }
    // Test binaries lie in target/<profile>/deps.
    let beside = current.parent().and_then(Path::parent).map(|d| d.join("parcelshelf"));
    beside.filter(|p| p.exists()).unwrap_or(current)
}
