//! Java keeps a list of trusted authorities of its own. Behind a proxy whose certificate only the system trusts, Maven
//! needs the system's list: this writes it in the format that every Java reads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::stack::Stack;

const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

const KEYSTORE_MAGIC: u32 = 0xfeed_feed;
const KEYSTORE_VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;
/// Checked only by readers who are given a password; Java is given none.
const DIGEST: [u8; 20] = [0; 20];

/// The options that make a Java program trust what this system trusts.
pub(crate) fn options(stack: &Stack) -> Result<String> {
    let bundle = stack.settings.ssl_cert_file.clone().unwrap_or_else(|| PathBuf::from(SYSTEM_BUNDLE));
    let store = stack.state.join("cache/system-trust.jks");
    fs::write(&store, keystore(&certificates(&bundle)?)?)?;
    Ok(format!("-Djavax.net.ssl.trustStore={} -Djavax.net.ssl.trustStoreType=JKS", store.display()))
}

fn certificates(bundle: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(bundle).and_then(Iterator::collect);
    certificates.with_context(|| format!("{} cannot be read", bundle.display()))
}

fn keystore(certificates: &[CertificateDer<'_>]) -> Result<Vec<u8>> {
    let mut store = Vec::new();
    for number in [KEYSTORE_MAGIC, KEYSTORE_VERSION, u32::try_from(certificates.len())?] {
        store.extend(number.to_be_bytes());
    }
    for (index, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        put_text(&mut store, &format!("system-{index}"))?;
        // When it was added, in milliseconds since 1970: nobody asks.
        store.extend(0_u64.to_be_bytes());
        put_text(&mut store, "X.509")?;
        store.extend(u32::try_from(certificate.len())?.to_be_bytes());
        store.extend_from_slice(certificate);
    }
    store.extend(DIGEST);
    Ok(store)
}

fn put_text(store: &mut Vec<u8>, text: &str) -> Result<()> {
    store.extend(u16::try_from(text.len())?.to_be_bytes());
    store.extend(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keystore_is_its_header_its_entries_and_a_digest() {
        let store = keystore(&[CertificateDer::from(vec![7; 3])]).unwrap();
        assert_eq!(store[..12], [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1]);
        assert_eq!(store.len(), 12 + (4 + 2 + 8 + 8 + 2 + 5 + 4 + 3) + 20);
    }
}
