//! A connection that asks and waits, one request after the other. HTTP/1.1, as far as the servers here speak it: every
//! answer has a Content-Length.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const LARGEST_ANSWER: usize = 64 * 1024;

pub(crate) struct Client {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens on {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, buffer: Vec::with_capacity(4096) })
    }

    /// Returns the status.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Result<u16> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.ask(&request).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<u16> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address)).await
    }

    async fn ask(&mut self, request: &str) -> Result<u16> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some(status) = whole_answer(&self.buffer)? {
                return Ok(status);
            }
            ensure!(self.buffer.len() < LARGEST_ANSWER, "an answer without an end");
        }
    }
}

/// The status, once everything is there.
fn whole_answer(bytes: &[u8]) -> Result<Option<u16>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let length = fields.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let Some(length): Option<usize> = length else { bail!("an answer without Content-Length: {head}") };
    let status = first.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok((bytes.len() >= end + 4 + length).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(whole_answer(answer).unwrap(), Some(201));
        assert_eq!(whole_answer(&answer[..answer.len() - 1]).unwrap(), None);
        assert_eq!(whole_answer(b"HTTP/1.1 201").unwrap(), None);
        assert!(whole_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
