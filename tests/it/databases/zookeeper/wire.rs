//! As much of ZooKeeper's protocol as the writers need. Numbers are big-endian, texts have their length
//! before them. (`zookeeper.jute` of the project describes it.)

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

const CREATE: i32 = 1;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const GET_CHILDREN: i32 = 8;
const MULTI: i32 = 14;

/// A session.
pub struct Client(TcpStream);

impl Client {
    pub fn connect(port: u16) -> Self {
        let mut client = Self(TcpStream::connect(("127.0.0.1", port)).unwrap());
        let mut hello = Message::default();
        hello.int(0).long(0).int(60_000).long(0).data(&[0; 16]);
        client.send(&hello);
        client.receive();
        client
    }

    /// Makes a node and sets another one, both or none of them.
    pub fn create_and_set(&mut self, new: (&str, &str), old: (&str, &str)) {
        let mut multi = Message::default();
        multi.int(CREATE).bool(false).int(-1).create(new.0, new.1);
        multi.int(SET_DATA).bool(false).int(-1).set(old.0, old.1);
        multi.int(-1).bool(true).int(-1);
        let answer = self.ask(MULTI, &multi);
        assert_eq!(answer[..4], CREATE.to_be_bytes(), "refused: {answer:?}");
    }

    pub fn create(&mut self, path: &str, data: &str) {
        let mut message = Message::default();
        message.create(path, data);
        self.ask(CREATE, &message);
    }

    pub fn get(&mut self, path: &str) -> String {
        let mut message = Message::default();
        message.data(path.as_bytes()).bool(false);
        let answer = self.ask(GET_DATA, &message);
        text(&answer).0.to_owned()
    }

    pub fn children(&mut self, path: &str) -> Vec<String> {
        let mut message = Message::default();
        message.data(path.as_bytes()).bool(false);
        let answer = self.ask(GET_CHILDREN, &message);
        let count = number(&answer);
        let mut rest = &answer[4..];
        (0..count)
            .map(|_| {
                let (name, after) = text(rest);
                rest = after;
                name.to_owned()
            })
            .collect()
    }

    /// What the server answers behind its header.
    fn ask(&mut self, kind: i32, body: &Message) -> Vec<u8> {
        let mut message = Message::default();
        message.int(1).int(kind).0.extend_from_slice(&body.0);
        self.send(&message);
        let mut answer = self.receive();
        assert_eq!(answer[12..16], [0; 4], "refused with {answer:?}");
        answer.split_off(16)
    }

    fn send(&mut self, message: &Message) {
        let mut framed = Message::default();
        framed.data(&message.0);
        self.0.write_all(&framed.0).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; number(&length)];
        self.0.read_exact(&mut answer).unwrap();
        answer
    }
}

fn number(bytes: &[u8]) -> usize {
    usize::try_from(i32::from_be_bytes(bytes[..4].try_into().unwrap())).unwrap()
}

/// A text, and what comes behind it.
fn text(bytes: &[u8]) -> (&str, &[u8]) {
    let (text, rest) = bytes[4..].split_at(number(bytes));
    (std::str::from_utf8(text).unwrap(), rest)
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn int(&mut self, number: i32) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn long(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn bool(&mut self, yes: bool) -> &mut Self {
        self.0.push(u8::from(yes));
        self
    }

    fn data(&mut self, bytes: &[u8]) -> &mut Self {
        self.int(i32::try_from(bytes.len()).unwrap());
        self.0.extend_from_slice(bytes);
        self
    }

    /// A persistent node, open to anyone.
    fn create(&mut self, path: &str, data: &str) -> &mut Self {
        self.data(path.as_bytes()).data(data.as_bytes());
        self.int(1).int(31).data(b"world").data(b"anyone").int(0)
    }

    /// Whatever its version.
    fn set(&mut self, path: &str, data: &str) -> &mut Self {
        self.data(path.as_bytes()).data(data.as_bytes()).int(-1)
    }
}
