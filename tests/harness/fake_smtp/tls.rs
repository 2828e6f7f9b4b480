//! A server's certificate, and the file that makes a client trust it.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    authority: Arc<NamedTempFile>,
}

impl Identity {
    /// Nobody vouches for it but itself.
    pub(super) fn invent() -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the usual versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .expect("a certificate and its key");
        let authority = NamedTempFile::new().expect("a file");
        std::fs::write(authority.path(), signed.cert.pem()).expect("a file can be written");
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority: Arc::new(authority) }
    }

    pub(super) fn authority(&self) -> &Path {
        self.authority.path()
    }
}
