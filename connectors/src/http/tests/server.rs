//! A server of a few lines, whose answers are written out byte by byte, so that they can be wrong.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
pub(crate) enum Reply {
    /// Writes this and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection without a byte.
    Nothing,
    /// Never answers.
    Silence,
}

/// Answers with a status, some headers and a body.
pub(crate) fn reply(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    Reply::Raw(format!("{head}{body}").into_bytes())
}

/// Answers 200 with a body.
pub(crate) fn good(body: &str) -> Reply {
    reply(200, "content-type: application/json\r\n", body)
}

/// A server and the requests it saw: head and body as they came.
pub(crate) struct Server {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts one that answers by the request and its number.
    pub(crate) async fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let (journal, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (journal, answer) = (journal.clone(), answer.clone());
                tokio::spawn(async move { serve(stream, &journal, &*answer).await });
            }
        });
        Self { address, seen }
    }

    /// Returns the requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no holder panics").clone()
    }

    /// Returns how many requests so far begin with a text.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.seen().iter().filter(|request| request.starts_with(start)).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    journal: &Mutex<Vec<String>>,
    answer: &(impl Fn(&str, usize) -> Reply + Send + Sync),
) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut journal = journal.lock().expect("no holder panics");
        journal.push(request.clone());
        journal.len()
    };
    match answer(&request, number) {
        Reply::Raw(bytes) => {
            stream.write_all(&bytes).await.ok();
            stream.shutdown().await.ok();
        }
        Reply::Nothing => {}
        Reply::Silence => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}
