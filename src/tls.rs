//! TLS towards directories: one provider, certificates verified.
//!
//! There is no switch that turns verification off. Who has a certificate of their own names it as `ca_file`.

use std::{fmt, fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// No way to verify anybody. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoots(String);

/// Makes the provider that everything in the process uses; without it, a library that finds two would panic. Any number
/// of times.
pub fn init() {
    // An error is that it was done before.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// How to connect: to servers whose certificate chain ends in one of `ca_file`, or without it in one that the system
/// trusts. TLS 1.2 and 1.3.
///
/// # Errors
///
/// A file that cannot be read or has no certificate in it, or a system that trusts nobody.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, NoRoots> {
    init();
    let roots = match ca_file {
        Some(file) => of_file(file)?,
        None => of_the_system()?,
    };
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// The certificates that [`client`] trusts, for a driver that makes its configuration itself.
///
/// # Errors
///
/// As [`client`].
pub fn roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, NoRoots> {
    init();
    if let Some(file) = ca_file {
        of_file(file)?;
        let text =
            fs::read(file).map_err(|error| NoRoots(format!("{} cannot be read: {error}", file.display())))?;
        return Ok(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect());
    }
    of_the_system()?;
    let found = rustls_native_certs::load_native_certs().certs;
    // One that cannot be read would make all of them useless to the driver.
    Ok(found.into_iter().filter(|root| RootCertStore::empty().add(root.clone()).is_ok()).collect())
}

fn of_file(file: &Path) -> Result<RootCertStore, NoRoots> {
    let text =
        fs::read(file).map_err(|error| NoRoots(format!("{} cannot be read: {error}", file.display())))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        added.map_err(|error| NoRoots(format!("{}: {error}", file.display())))?;
    }
    if roots.is_empty() {
        return Err(NoRoots(format!("{} has no certificate in PEM in it", file.display())));
    }
    Ok(roots)
}

fn of_the_system() -> Result<RootCertStore, NoRoots> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(NoRoots(
            "this system trusts no certificate: install ca-certificates, or name a ca_file".into(),
        ));
    }
    Ok(roots)
}

impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRoots {}

#[cfg(test)]
mod tests {
    use super::client;

    #[test]
    fn a_file_without_a_certificate_is_no_reason_to_trust_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate\n").unwrap();
        assert!(client(Some(&empty)).unwrap_err().to_string().contains("no certificate"));
        let broken = dir.path().join("broken.pem");
        std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(client(Some(&broken)).is_err());
        assert!(
            client(Some(&dir.path().join("missing.pem"))).unwrap_err().to_string().contains("cannot be read")
        );
    }
}
