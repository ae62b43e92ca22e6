//! Connections of callers who do not behave: bytes, sent when the test says so.

use std::{net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::client::TlsStream;

use super::caller::shake_hands;

pub async fn open(address: SocketAddr, tls: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    shake_hands(tls, stream).await.unwrap()
}

pub fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// The first message of a handshake.
pub fn hello(tls: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut handshake = ClientConnection::new(Arc::clone(tls), name).unwrap();
    let mut hello = Vec::new();
    handshake.write_tls(&mut hello).unwrap();
    hello
}

/// The status line of an answer; nothing when the other side closes instead.
pub async fn first_line(stream: &mut TlsStream<TcpStream>) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}
