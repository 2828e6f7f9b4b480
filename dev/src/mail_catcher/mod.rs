//! A mail server that keeps every mail and delivers none: SMTP in (the mailcrab library), a page and an API that speaks
//! as Mailpit does out, so that tests need not know which of the two they ask.

mod api;
mod mailbox;
mod page;

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use axum::{Router, routing::get};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::broadcast::{self, Receiver, error::RecvError},
};
use tokio_util::sync::CancellationToken;

use mailbox::Mailbox;

/// Room for a burst between two turns of the receiver; mails beyond it would be lost.
const BURST: usize = 16_384;
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

pub(crate) async fn run(smtp_port: u16, http_port: u16) -> Result<()> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let (mails, arriving) = broadcast::channel(BURST);
    let mailbox = Mailbox::default();
    let listener = TcpListener::bind((LOOPBACK, http_port)).await.context("the page's port is taken")?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = mailcrab::mail_server(LOOPBACK.into(), smtp_port, mails, false, CancellationToken::new()) =>
            bail!("the mail server ended, most likely because port {smtp_port} is taken"),
        () = keep(arriving, &mailbox) => bail!("the mail server let go of its mails"),
        served = axum::serve(listener, router(mailbox.clone())) => Ok(served?),
        _ = terminated.recv() => Ok(()),
    }
}

/// Never ends while the server lives: without a receiver the server refuses mails.
async fn keep(mut arriving: Receiver<mailcrab::MailMessage>, mailbox: &Mailbox) {
    loop {
        match arriving.recv().await {
            Ok(mail) => mailbox.keep(&mail),
            Err(RecvError::Lagged(lost)) => eprintln!("{lost} mails came faster than they could be kept"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn router(mailbox: Mailbox) -> Router {
    Router::new()
        .route("/", get(page::list))
        .route("/view/{id}", get(page::view))
        .route("/api/v1/messages", get(api::list).delete(api::empty))
        .route("/api/v1/search", get(api::search))
        .route("/api/v1/message/{id}", get(api::message))
        .route("/ready", get(async || "ready"))
        .with_state(mailbox)
}
