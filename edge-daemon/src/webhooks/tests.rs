//! Webhooks against a server of the test, over real sockets.

use super::{Event, Limits, Metrics, Secret, WebhookConfig, Webhooks, signature};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// What came in one request.
struct Request {
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a request");
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let headers: Vec<(String, String)> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.expect("a length").1.parse().expect("a number")];
        reader.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("text");
        Self { headers, body }
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        &found.expect(name).1
    }
}

/// Answers its connections with these statuses in turn, and tells what came; 0 closes without an answer.
fn server(statuses: &'static [u16]) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for (stream, status) in listener.incoming().flatten().zip(statuses) {
            let request = Request::read(&stream);
            if *status > 0 {
                let answer =
                    format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).expect("answered");
            }
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

fn start(urls: Vec<String>) -> Webhooks {
    let secret = Secret(b"a secret of sixteen".to_vec());
    Webhooks::start(
        &WebhookConfig { urls, secret },
        Limits::EVENTS,
        Metrics::default(),
    )
    .expect("threads")
}

fn next(requests: &Receiver<Request>) -> Request {
    requests.recv_timeout(PATIENCE).expect("a request")
}

#[test]
fn a_request_is_signed_over_its_time_and_body() {
    let (url, requests) = server(&[200]);
    start(vec![url]).say(&Event::RoomOpened { room: "show" });
    let request = next(&requests);
    let timestamp: u64 = request.header("lianmai-timestamp").parse().expect("seconds");
    let secret = Secret(b"a secret of sixteen".to_vec());
    assert_eq!(
        request.header("lianmai-signature"),
        signature::sign(&secret, timestamp, &request.body)
    );
    assert_eq!(request.header("lianmai-event"), "room_opened");
    assert!(
        request.body.contains(request.header("lianmai-delivery")),
        "{}",
        request.body
    );
}

#[test]
fn a_server_that_fails_hears_it_again_under_the_same_id_and_then_the_rest_in_order() {
    let (url, requests) = server(&[500, 0, 204, 404, 200]);
    let webhooks = start(vec![url]);
    for user in ["ann", "bob", "cho"] {
        webhooks.say(&Event::HostJoined { room: "show", user });
    }
    let (first, second, third) = (next(&requests), next(&requests), next(&requests));
    assert!(first.body == second.body && second.body == third.body && first.body.contains("ann"));
    assert!(next(&requests).body.contains("bob"), "refused, and not repeated");
    assert!(next(&requests).body.contains("cho"));
}

#[test]
fn a_server_that_never_answers_holds_up_neither_the_edge_nor_other_servers() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_url = format!("http://{}/", silent.local_addr().expect("bound"));
    let (url, requests) = server(&[200; 100]);
    let webhooks = start(vec![silent_url, url]);
    let started = Instant::now();
    for _ in 0..100 {
        webhooks.say(&Event::RoomOpened { room: "show" });
    }
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    (0..100).for_each(|_| drop(next(&requests)));
    webhooks.finish();
    assert!(
        started.elapsed() < PATIENCE,
        "the end does not wait for the silent one"
    );
}
