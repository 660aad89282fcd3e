//! The bodies of answers, whole, held or cut short on purpose, and the line they are sent over.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::faults::Step;
use crate::hold::Hold;
use crate::platform::Platform;

/// How long a cut waits, so that what came before it reaches the client.
const BEFORE_THE_CUT: Duration = Duration::from_millis(20);

/// A body that keeps something alive until it has been sent.
pub(crate) struct Outgoing<T> {
    data: Option<Bytes>,
    pause: Option<Pause>,
    /// Whether its length is said before it.
    told: bool,
    _kept: T,
}

/// What a body comes to once its first part is sent, and what follows then.
struct Pause {
    until: Pin<Box<dyn Future<Output = ()> + Send>>,
    then: Option<Bytes>,
}

impl<T> Outgoing<T> {
    /// Returns a body that is sent whole.
    pub(crate) fn whole(data: impl Into<Bytes>, kept: T) -> Self {
        Self { data: Some(data.into()), pause: None, told: true, _kept: kept }
    }

    /// Returns a body after which the connection breaks.
    pub(crate) fn cut(data: impl Into<Bytes>, kept: T) -> Self {
        let pause = Pause { until: Box::pin(tokio::time::sleep(BEFORE_THE_CUT)), then: None };
        Self { data: Some(data.into()), pause: Some(pause), told: false, _kept: kept }
    }

    /// Returns a body that stands still at a step, and then goes on.
    pub(crate) fn held(data: impl Into<Bytes>, hold: Hold, platform: &Arc<Platform>, kept: T) -> Self {
        let mut data = data.into();
        let at = match hold.at {
            Step::Accepted | Step::Received | Step::Head => 0,
            Step::Half => data.len() / 2,
            Step::Whole => data.len(),
        };
        // Where the length is said before, the last byte says that it is the end.
        let told = hold.at != Step::Whole;
        let then = Some(data.split_off(at));
        let pause = Pause { until: Box::pin(hold.wait(platform.clone())), then };
        Self { data: Some(data), pause: Some(pause), told, _kept: kept }
    }
}

impl<T: Unpin> Body for Outgoing<T> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Some(data) = this.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Some(pause) = &mut this.pause else { return Poll::Ready(None) };
        ready!(pause.until.as_mut().poll(cx));
        let Some(then) = pause.then.take() else {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        };
        this.pause = None;
        Poll::Ready((!then.is_empty()).then(|| Ok(Frame::data(then))))
    }

    fn is_end_stream(&self) -> bool {
        self.pause.is_none() && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let later = self.pause.as_ref().and_then(|pause| pause.then.as_ref());
        let left = [self.data.as_ref(), later].into_iter().flatten().map(|data| data.len() as u64).sum();
        if self.told { SizeHint::with_exact(left) } else { SizeHint::default() }
    }
}

/// A connection that can be made to end with a reset instead of a farewell.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Line {
    /// Wraps a connection; setting the flag makes its end a reset.
    pub(crate) fn new(stream: TcpStream, reset: Arc<AtomicBool>) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Closing with nothing to linger for is what makes the kernel send a reset.
            let set = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            if let Err(error) = set {
                tracing::warn!(%error, "a connection could not be reset");
            }
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
