//! A stream of RTU frames on which nothing old is taken for an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No more is thrown away before one request: a line that never falls silent must not stop the agent.
const STALE_MAX: usize = 4_096;

/// Throws away what has come in before each request leaves. RTU frames bear no transaction number: what a
/// device sent twice, or too late, would be read as the answer to the next request.
#[derive(Debug)]
pub(super) struct Quiet<S> {
    stream: S,
}

impl<S> Quiet<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream }
    }
}

impl<S: AsyncRead + Unpin> Quiet<S> {
    fn discard_stale(&mut self, context: &mut Context<'_>) {
        let mut scratch = [0; 256];
        let mut discarded = 0;
        while discarded < STALE_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => discarded += buffer.filled().len(),
                // Its end, its errors and its silence are the next read's matter.
                _ => return,
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Quiet<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Quiet<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.discard_stale(context);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn what_came_before_a_request_is_thrown_away() {
        let (mut device, ours) = duplex(10_000);
        let mut line = Quiet::new(ours);
        device.write_all(&[9; 300]).await.unwrap();
        line.write_all(b"request").await.unwrap();
        device.write_all(b"answer").await.unwrap();
        drop(device);
        let mut heard = Vec::new();
        line.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"answer");
    }

    #[tokio::test]
    async fn a_line_that_never_falls_silent_is_given_up_after_a_bound() {
        let (mut device, ours) = duplex(10_000);
        let mut line = Quiet::new(ours);
        device.write_all(&[9; 9_000]).await.unwrap();
        line.write_all(b"request").await.unwrap();
        let mut next = [0];
        line.read_exact(&mut next).await.unwrap();
        assert_eq!(next, [9]);
    }
}
