//! A listener whose connections can be cut: a caller that hears nothing at all is the fault that matters most.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Cuts its connection: nothing more is written on it, and it ends.
#[derive(Clone, Debug, Default)]
pub struct Scissors(Arc<AtomicBool>);
impl Scissors {
    pub fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }
    /// Whether it has.
    #[must_use]
    pub fn has_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
impl Connected<IncomingStream<'_, Listener>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().scissors.clone()
    }
}

#[derive(Debug)]
pub struct Listener(pub TcpListener);

#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    scissors: Scissors,
}

impl axum::serve::Listener for Listener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
        // Small answers on a kept-alive connection must not wait for the other side's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        (Wire { stream, scissors: Scissors::default() }, address)
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.scissors.has_cut() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}
impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}
impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
