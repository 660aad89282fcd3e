//! The client against a server of HTTP/2: one connection for many requests, streams refused, connections ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::Reason;
use h2::server::{Connection, SendResponse};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

use super::client::{BODY, call, client_of, config_at, fixed_key, send};
use crate::http::Http;
use crate::http::client::connections;

/// What the server does beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers when so many requests are there.
    Together(usize),
    /// Refuses the first stream, as a server that has too many.
    Refuses,
    /// Ends each connection after its first request.
    Ends,
}

/// A server and what it counted.
struct Server {
    address: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (opened, asked) = (connections.clone(), requests.clone());
        let together = if let Manner::Together(count) = manner { count } else { 1 };
        let barrier = Arc::new(Barrier::new(together));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, manner, asked.clone(), barrier.clone()));
            }
        });
        Self { address, connections, requests }
    }

    /// Prepares a client that speaks HTTP/2 at once, as TLS would have it agreed.
    fn http(&self) -> Arc<Http> {
        let config = config_at(&self.address);
        let client = connections(&config).no_proxy().http2_prior_knowledge().build().expect("a client");
        let mut http = Http::new(config, fixed_key()).expect("it is usable");
        Arc::get_mut(&mut http).expect("nobody else has it").client = client;
        http
    }

    fn counted(&self) -> (usize, usize) {
        (self.connections.load(Ordering::Relaxed), self.requests.load(Ordering::Relaxed))
    }
}

async fn serve(stream: TcpStream, manner: Manner, asked: Arc<AtomicUsize>, barrier: Arc<Barrier>) {
    let mut connection: Connection<TcpStream, Bytes> =
        h2::server::handshake(stream).await.expect("the client speaks HTTP/2");
    while let Some(Ok((_, respond))) = connection.accept().await {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        if manner == Manner::Ends {
            connection.graceful_shutdown();
        }
        let refuses = manner == Manner::Refuses && number == 0;
        tokio::spawn(answer(respond, refuses, barrier.clone()));
    }
}

async fn answer(mut respond: SendResponse<Bytes>, refuses: bool, barrier: Arc<Barrier>) {
    if refuses {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    barrier.wait().await;
    let head = http::Response::builder().header("content-type", "application/json").body(());
    let mut body = respond.send_response(head.expect("a head"), false).expect("the stream is open");
    body.send_data(Bytes::from_static(BODY.as_bytes()), true).expect("the stream is open");
}

#[tokio::test]
async fn many_requests_are_on_their_way_in_one_connection() {
    let server = Server::start(Manner::Together(16)).await;
    let http = server.http();
    let asked = (0..16).map(|number| {
        let client = client_of(&http, &format!("tenant-{}", number / 4));
        async move { send(&client, &call()).await.map(|answer| answer.requests) }
    });
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.expect("it is answered"), 1);
    }
    assert_eq!(server.counted(), (1, 16));
}

#[tokio::test]
async fn budget_a_refused_stream_is_asked_for_again_and_counted() {
    let server = Server::start(Manner::Refuses).await;
    let answer = send(&client_of(&server.http(), "tenant-1"), &call()).await.expect("it is answered");
    assert_eq!((answer.requests, server.counted()), (2, (1, 2)));
}

#[tokio::test]
async fn a_connection_that_is_ended_is_followed_by_another() {
    let server = Server::start(Manner::Ends).await;
    let client = client_of(&server.http(), "tenant-1");
    for _ in 0..3 {
        send(&client, &call()).await.expect("it is answered");
    }
    assert_eq!(server.counted(), (3, 3));
}
