//! A Unix socket: what one process asks its neighbour.
//!
//! Whoever asks drives the connection as well, so that no other task has to wake up between a question and its answer. A
//! connection that has answered waits for the next question and is watched by nobody: whether it still stands shows when it is
//! used, and then a new one is made, for nothing of the question has gone out.

use std::convert::Infallible;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::{Answer, Silence, Way};

/// Connections that wait for a question; more are closed.
const IDLE_MAX: usize = 64;

/// The way to one socket.
pub(crate) struct Socket {
    path: PathBuf,
    idle: Mutex<Vec<Line>>,
}

/// What writes and reads, when it is polled.
type Driven = http1::Connection<TokioIo<UnixStream>, Whole>;

/// One connection. Without its second half it is over.
struct Line {
    sender: SendRequest<Whole>,
    connection: Option<Pin<Box<Driven>>>,
}

impl Socket {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), idle: Mutex::default() }
    }
    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Line, Silence> {
        let stream = UnixStream::connect(&self.path).await.map_err(|_| Silence::NeverSent)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Silence::NeverSent)?;
        Ok(Line { sender, connection: Some(Box::pin(connection)) })
    }

    /// Asks over one connection, which waits for the next question if it has answered this one whole.
    async fn ask(&self, mut line: Line, request: Request<Whole>, max_bytes: usize) -> Result<Answer, Silence> {
        let answer = line.exchange(request, max_bytes).await?;
        if line.connection.is_some() && answer.body.is_some() {
            let mut idle = self.idle();
            if idle.len() < IDLE_MAX {
                idle.push(line);
            }
        }
        Ok(answer)
    }
}

#[async_trait::async_trait]
impl Way for Socket {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let request = local(request)?;
        let waiting = self.idle().pop();
        if let Some(line) = waiting {
            match self.ask(line, request.clone(), max_bytes).await {
                // The other side had closed it.
                Err(Silence::NeverSent) => {}
                heard => return heard,
            }
        }
        let line = self.connect().await?;
        self.ask(line, request, max_bytes).await
    }
}

impl Line {
    async fn exchange(&mut self, request: Request<Whole>, max_bytes: usize) -> Result<Answer, Silence> {
        let Self { sender, connection } = self;
        let mut asking = pin!(async {
            sender.ready().await.map_err(|_| Silence::NeverSent)?;
            let sent = sender.send_request(request).await;
            // Cancelled is what was closed before any of the request was taken.
            let response = sent.map_err(|e| if e.is_canceled() { Silence::NeverSent } else { Silence::Lost })?;
            let (parts, body) = response.into_parts();
            let body = bounded(body, max_bytes).await;
            Ok::<_, Silence>(Answer { status: parts.status, headers: parts.headers, body })
        });
        poll_fn(|cx| {
            if let Poll::Ready(heard) = asking.as_mut().poll(cx) {
                return Poll::Ready(heard);
            }
            let over = connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready());
            if over {
                *connection = None;
            }
            // What the connection has just brought.
            asking.as_mut().poll(cx)
        })
        .await
    }
}

/// As it is written to somebody who is the only one there: the path alone, and the host beside it.
fn local(request: Request<Bytes>) -> Result<Request<Whole>, Silence> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().map_or("localhost", |a| a.as_str());
    let host = HeaderValue::from_str(host).map_err(|_| Silence::NeverSent)?;
    let tail = parts.uri.path_and_query().cloned();
    parts.uri = tail.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    parts.headers.entry(HOST).or_insert(host);
    Ok(Request::from_parts(parts, Whole(Some(body).filter(|body| !body.is_empty()))))
}

async fn bounded(mut body: Incoming, max_bytes: usize) -> Option<Bytes> {
    let mut all = Vec::new();
    loop {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            None => return Some(all.into()),
            Some(Err(_)) => return None,
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if all.len() + data.len() > max_bytes {
                    return None;
                }
                all.extend_from_slice(&data);
            }
        }
    }
}

/// A body that is there as a whole.
#[derive(Debug, Clone)]
struct Whole(Option<Bytes>);
impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    /// What a neighbour does with each question.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Manner {
        Answers,
        AnswersAndCloses,
        Closes,
    }

    #[derive(Default)]
    struct Counted {
        connections: AtomicUsize,
        questions: AtomicUsize,
    }

    fn neighbour(path: &Path, manner: Manner) -> Arc<Counted> {
        let listener = UnixListener::bind(path).unwrap();
        let counted = Arc::new(Counted::default());
        let counts = Arc::clone(&counted);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let counts = Arc::clone(&counts);
                tokio::spawn(async move {
                    let mut read = [0; 4_096];
                    // Questions here are small and come in one piece.
                    while let Ok(1..) = stream.read(&mut read).await {
                        counts.questions.fetch_add(1, Ordering::SeqCst);
                        if manner == Manner::Closes {
                            return;
                        }
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
                        if manner == Manner::AnswersAndCloses {
                            return;
                        }
                    }
                });
            }
        });
        counted
    }
    fn question() -> Request<Bytes> {
        Request::post("http://neighbour/path?q=1").body(Bytes::from_static(b"{}")).unwrap()
    }
    fn counts(of: &Counted) -> (usize, usize) {
        (of.connections.load(Ordering::SeqCst), of.questions.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_connection_serves_one_question_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let there = neighbour(&path, Manner::Answers);
        let socket = Socket::new(&path);
        for n in 1..=5 {
            let answer = socket.carry(question(), 100).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.body.as_deref()), (200, Some(&b"hello"[..])));
            assert_eq!(counts(&there), (1, n));
        }
        // At the same time they need one each, and one that brings too much is not used again.
        let (a, b) = tokio::join!(socket.carry(question(), 100), socket.carry(question(), 4));
        assert_eq!((a.unwrap().body.is_some(), b.unwrap().body), (true, None));
        assert_eq!((counts(&there), socket.idle().len()), ((2, 7), 1));
    }

    #[tokio::test]
    async fn one_that_was_closed_meanwhile_is_replaced_and_nothing_is_asked_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let there = neighbour(&path, Manner::AnswersAndCloses);
        let socket = Socket::new(&path);
        for n in 1..=5 {
            assert!(socket.carry(question(), 100).await.unwrap().body.is_some());
            // The other side's end of it has come.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            assert_eq!(counts(&there), (n, n));
        }
    }

    #[tokio::test]
    async fn a_question_that_gets_no_answer_is_lost_and_one_to_nobody_was_never_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = Socket::new(&path);
        assert!(matches!(socket.carry(question(), 100).await, Err(Silence::NeverSent)));
        let there = neighbour(&path, Manner::Closes);
        assert!(matches!(socket.carry(question(), 100).await, Err(Silence::Lost)));
        assert_eq!(counts(&there), (1, 1));
    }

    #[test]
    fn the_host_stands_beside_the_path() {
        let local = local(question()).unwrap();
        assert_eq!(local.uri().to_string(), "/path?q=1");
        assert_eq!(local.headers()[HOST], "neighbour");
    }
}
