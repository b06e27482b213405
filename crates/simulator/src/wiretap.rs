//! A wiretap: a proxy in front of a TCP or Unix socket that passes bytes through and keeps a copy of all of them.
//!
//! Used to prove what did *not* cross a socket. It understands nothing of what it carries.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Most bytes kept; a run that crosses more is a mistake in the test.
const KEPT_BYTES_MAX: usize = 512 << 20;

/// A running wiretap. Dropping it stops listening.
#[derive(Debug)]
pub struct Wiretap {
    kept: Arc<Mutex<Vec<u8>>>,
    accepting: JoinHandle<()>,
}

impl Wiretap {
    /// Listens on `listen` (port 0 for any) and passes every connection on to `target`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn tcp(listen: SocketAddr, target: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&kept);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let copy = Arc::clone(&copy);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        both_ways(client, server, copy).await;
                    }
                });
            }
        });
        Ok((Self { kept, accepting }, address))
    }

    /// Listens on the Unix socket `listen` and passes every connection on to the socket `target`.
    ///
    /// # Errors
    /// When the path cannot be bound.
    pub async fn unix(listen: &Path, target: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(listen)?;
        let target: PathBuf = target.to_owned();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&kept);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (copy, target) = (Arc::clone(&copy), target.clone());
                tokio::spawn(async move {
                    if let Ok(server) = UnixStream::connect(&target).await {
                        both_ways(client, server, copy).await;
                    }
                });
            }
        });
        Ok(Self { kept, accepting })
    }

    /// Everything that crossed so far, both directions.
    #[must_use]
    pub fn recorded(&self) -> Vec<u8> {
        self.kept.lock().map(|kept| kept.clone()).unwrap_or_default()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn both_ways<A, B>(client: A, server: B, kept: Arc<Mutex<Vec<u8>>>)
where
    A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (client_read, client_write) = tokio::io::split(client);
    let (server_read, server_write) = tokio::io::split(server);
    let up = tokio::spawn(one_way(client_read, server_write, Arc::clone(&kept)));
    one_way(server_read, client_write, kept).await;
    up.abort();
}

/// Copies until the end. Each direction is collected apart and kept at its end or whenever a quarter of a megabyte is
/// there, so that a value is not torn by the other direction's bytes.
async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut mine = Kept { bytes: Vec::new(), kept };
    loop {
        let n = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        mine.bytes.extend_from_slice(&buffer[..n]);
        mine.flush_from(256 * 1024);
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// One direction's bytes, handed over also when the task is aborted.
struct Kept {
    bytes: Vec<u8>,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Kept {
    fn flush_from(&mut self, at_least: usize) {
        if self.bytes.len() >= at_least
            && let Ok(mut kept) = self.kept.lock()
        {
            assert!(kept.len() + self.bytes.len() <= KEPT_BYTES_MAX, "more bytes than a wiretap keeps");
            kept.append(&mut self.bytes);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.flush_from(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_crosses_is_kept() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        let echo = tokio::spawn(async move {
            let (mut socket, _) = server.accept().await.unwrap();
            let mut question = [0; 8];
            socket.read_exact(&mut question).await.unwrap();
            socket.write_all(b"the answer").await.unwrap();
        });
        let (tap, address) = Wiretap::tcp("127.0.0.1:0".parse().unwrap(), target).await.unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"question").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"the answer");
        echo.await.unwrap();
        drop(client);
        // Both directions are handed over when their tasks end; wait for that, not for a time.
        loop {
            let recorded = tap.recorded();
            let has = |needle: &[u8]| recorded.windows(needle.len()).any(|w| w == needle);
            if has(b"question") && has(b"the answer") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
