//! As much of STOMP 1.2 as the writers need: frames of text that end with a zero byte. A receipt for a
//! message comes when the broker has confirmed it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
};

pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(port: u16) -> Self {
        Self::try_connect(port).unwrap()
    }

    /// Nothing as long as the broker is not ready, which listens before it knows its users.
    pub fn try_connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let mut client = Self(BufReader::new(stream));
        let login = "accept-version:1.2\nhost:/\nlogin:guest\npasscode:guest";
        client.send("CONNECT", login, "");
        let answer = client.try_receive()?;
        answer.starts_with("CONNECTED").then_some(client)
    }

    /// Puts a message into a queue of a kind, which is made if need be, and waits for the confirmation.
    pub fn put(&mut self, queue: &str, kind: &str, message: &str) {
        let header = format!(
            "destination:/queue/{queue}\nx-queue-type:{kind}\npersistent:true\nreceipt:{queue}"
        );
        self.send("SEND", &header, message);
        let answer = self.receive();
        assert!(answer.starts_with("RECEIPT"), "{answer}");
    }

    /// Takes all messages out of a queue, in their order.
    pub fn take_all(&mut self, queue: &str, kind: &str) -> Vec<String> {
        const END: &str = "the end of the queue";
        self.put(queue, kind, END);
        let header =
            format!("id:{queue}\ndestination:/queue/{queue}\nx-queue-type:{kind}\nack:auto");
        self.send("SUBSCRIBE", &header, "");
        let mut messages = Vec::new();
        loop {
            let frame = self.receive();
            assert!(frame.starts_with("MESSAGE"), "{frame}");
            let (_, body) = frame.split_once("\n\n").unwrap();
            if body == END {
                return messages;
            }
            messages.push(body.to_owned());
        }
    }

    fn send(&mut self, command: &str, header: &str, body: &str) {
        let frame = format!("{command}\n{header}\n\n{body}\0");
        self.0.get_mut().write_all(frame.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> String {
        self.try_receive().expect("the broker is still there")
    }

    fn try_receive(&mut self) -> Option<String> {
        let mut frame = Vec::new();
        self.0.read_until(0, &mut frame).ok()?;
        let whole = frame.pop() == Some(0);
        let text = String::from_utf8(frame).unwrap();
        whole.then(|| text.trim_start().to_owned())
    }
}
