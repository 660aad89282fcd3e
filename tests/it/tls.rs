//! The platform is asked over TLS, in HTTP/2 where it offers that, and only where its certificate is trusted.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tests::{Context, Output};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use simulator::Dataset;

use crate::{small, start};

const DATASETS: [Dataset; 3] = [Dataset::Users, Dataset::VmAssets, Dataset::VmFindings];

/// Serves a platform over TLS.
struct Front {
    address: SocketAddr,
    /// Its certificate, as whoever trusts it names it.
    certificate: String,
    requests: Arc<Requests>,
    _runtime: Runtime,
}

/// How many requests came in which version of HTTP.
#[derive(Debug, Default)]
struct Requests {
    http1: AtomicUsize,
    http2: AtomicUsize,
}

impl Front {
    fn start(context: &Context, protocols: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread for the front");
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let certificate = context.put("front.pem", &own.cert.pem()).display().to_string();
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("a key for its certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let requests = Arc::new(Requests::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let behind = Arc::new(Behind {
            platform: format!("http://{}", context.platform().address()),
            client: reqwest::Client::new(),
            requests: requests.clone(),
        });
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    // Who does not trust the certificate leaves in the middle of the handshake.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(move |request| behind.clone().answer(request));
                    let stream = TokioIo::new(stream);
                    if is_http2 {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        server.serve_connection(stream, service).await.ok();
                    } else {
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(stream, service)
                            .await
                            .ok();
                    }
                });
            }
        });
        Self { address, certificate, requests, _runtime: runtime }
    }
}

struct Behind {
    platform: String,
    client: reqwest::Client,
    requests: Arc<Requests>,
}

impl Behind {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let counter =
            if head.version == Version::HTTP_2 { &self.requests.http2 } else { &self.requests.http1 };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut headers = head.headers;
        headers.remove("host");
        let path = head.uri.path_and_query().expect("a path");
        let body = body.collect().await.expect("a whole request").to_bytes();
        let request =
            self.client.request(head.method, format!("{}{path}", self.platform)).headers(headers).body(body);
        let answer = request.send().await.expect("the platform answers");
        let mut response = Response::builder().status(answer.status());
        let own = ["connection", "transfer-encoding", "content-length"];
        for (name, value) in answer.headers().iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            response = response.header(name, value);
        }
        let body = answer.bytes().await.expect("a whole answer");
        Ok(response.body(Full::new(body)).expect("parts of an answer"))
    }
}

/// Starts a proxy that leads where it is told, and writes down what goes to the platform through it.
fn proxy() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let all = heard.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, all) = (client.expect("a connection"), all.clone());
            thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    client.read_exact(&mut byte).expect("a whole head");
                    head.extend_from_slice(&byte);
                }
                all.lock().expect("no holder panics").extend_from_slice(&head);
                let head = String::from_utf8(head).expect("a head is text");
                let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
                let mut platform = TcpStream::connect(to.expect("an address")).expect("it listens");
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("writes");
                let (mut back, mut to_client) =
                    (platform.try_clone().expect("clones"), client.try_clone().expect("clones"));
                thread::spawn(move || std::io::copy(&mut back, &mut to_client).ok());
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    all.lock().expect("no holder panics").extend_from_slice(&bytes[..length]);
                    platform.write_all(&bytes[..length]).expect("writes");
                }
            });
        }
    });
    (address, heard)
}

/// Runs the program against the front, with more variables; returns what it said.
fn run(context: &Context, front: &Front, variables: &[(&str, &str)]) -> Output {
    let mut file = context.run_file().of(&DATASETS);
    file.endpoint = format!("https://{}/{{region}}", front.address);
    context.write(&file);
    let mut command = context.command(&["run"]);
    for name in ["SSL_CERT_DIR", "SSL_CERT_FILE", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    Output::of(command.spawn().expect("the program under test"))
}

/// Checks that the whole platform arrives; returns the requests in HTTP/1.1 and in HTTP/2.
fn check_whole(protocols: &[&str]) -> (usize, usize) {
    let context = start(small(3));
    let front = Front::start(&context, protocols);
    let output = run(&context, &front, &[("SSL_CERT_FILE", &front.certificate)]);
    assert_eq!(output.code, Some(0), "{protocols:?}: {}", output.stderr);
    context.check_whole(&DATASETS);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    (count(&front.requests.http1), count(&front.requests.http2))
}

#[test]
fn the_newest_http_that_the_platform_offers_over_tls_is_spoken() {
    for offered in [&["h2", "http/1.1"][..], &["h2"]] {
        let (http1, http2) = check_whole(offered);
        assert!(http1 == 0 && http2 > 3, "{offered:?}: {http1}, {http2}");
    }
    for offered in [&["http/1.1"][..], &[]] {
        let (http1, http2) = check_whole(offered);
        assert!(http1 > 3 && http2 == 0, "{offered:?}: {http1}, {http2}");
    }
}

#[test]
fn secrecy_no_key_goes_to_who_is_not_trusted() {
    let context = start(small(1));
    let front = Front::start(&context, &["h2", "http/1.1"]);
    let output = run(&context, &front, &[]);
    let asked = front.requests.http1.load(Ordering::Relaxed) + front.requests.http2.load(Ordering::Relaxed);
    assert_eq!(asked, 0, "{}", output.stderr);
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(
        output.stderr.contains("certificate") && output.stderr.contains("SSL_CERT_FILE"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains(context.key()));
    let again = output.stderr.contains("attempts: ") && !output.stderr.contains("attempts: 1 ");
    assert!(!again, "asking again does not help: {}", output.stderr);
}

#[test]
fn secrecy_a_proxy_leads_to_the_platform_and_sees_no_key() {
    let context = start(small(2));
    let front = Front::start(&context, &["h2"]);
    let (address, heard) = proxy();
    let proxy = format!("http://{address}");
    let output = run(&context, &front, &[("SSL_CERT_FILE", &front.certificate), ("HTTPS_PROXY", &proxy)]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    context.check_whole(&DATASETS);
    let heard = heard.lock().expect("no holder panics");
    let connects = format!("CONNECT {} ", front.address);
    assert!(heard.starts_with(connects.as_bytes()) && heard.len() > 1024, "{} bytes", heard.len());
    let key = context.key().as_bytes();
    assert!(!heard.windows(key.len()).any(|part| part == key));
}
