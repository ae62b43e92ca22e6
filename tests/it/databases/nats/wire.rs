//! As much of the protocol of NATS as the writers need: lines of text, and payloads of a known length.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

/// A connection with one subject to be answered at.
pub struct Client {
    reader: BufReader<TcpStream>,
    inbox: String,
}

impl Client {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let inbox = format!("_INBOX.{}", stream.local_addr().unwrap().port());
        let mut client = Self {
            reader: BufReader::new(stream),
            inbox,
        };
        let hello = format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\n",
            client.inbox
        );
        client.send(hello.as_bytes());
        client
    }

    /// Publishes a message and waits for what the server says to it.
    pub fn ask(&mut self, subject: &str, payload: &str) -> Value {
        self.publish(subject, payload);
        let answer = self.next();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        answer
    }

    fn publish(&mut self, subject: &str, payload: &str) {
        let message = format!(
            "PUB {subject} {} {}\r\n{payload}\r\n",
            self.inbox,
            payload.len()
        );
        self.send(message.as_bytes());
    }

    /// The payload of the next message for us.
    pub fn next(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.reader.read_line(&mut line).unwrap(),
                0,
                "the server hung up"
            );
            let line = line.trim_end();
            if line == "PING" {
                self.send(b"PONG\r\n");
            } else if let Some(message) = line.strip_prefix("MSG ") {
                let length: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
                let mut payload = vec![0; length + 2];
                self.reader.read_exact(&mut payload).unwrap();
                payload.truncate(length);
                return String::from_utf8(payload).unwrap();
            }
            assert!(!line.starts_with("-ERR"), "{line}");
        }
    }

    /// All payloads of a stream, in their order.
    pub fn all(&mut self, stream: &str) -> Vec<String> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{stream}"), "");
        let count = info["state"]["messages"].as_u64().unwrap();
        let mut other = Self::connect(self.reader.get_ref().peer_addr().unwrap().port());
        let consumer = format!(
            "{{\"stream_name\":\"{stream}\",\"config\":{{\"deliver_subject\":\"{}\",\
             \"deliver_policy\":\"all\",\"ack_policy\":\"none\",\"replay_policy\":\"instant\"}}}}",
            other.inbox
        );
        other.send(b"PING\r\n");
        let mut pong = String::new();
        while pong.trim_end() != "PONG" {
            pong.clear();
            other.reader.read_line(&mut pong).unwrap();
        }
        self.ask(&format!("$JS.API.CONSUMER.CREATE.{stream}"), &consumer);
        (0..count).map(|_| other.next()).collect()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }
}
