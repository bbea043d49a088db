use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::Place;

/// A certificate authority that nobody trusts but who is told to.
#[derive(Debug)]
pub struct Authority<'a> {
    place: &'a Place,
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    /// Makes one, with its certificate in a file.
    pub fn found(place: &'a Place, name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        place.write(&format!("{name}.pem"), &issuer.pem());
        Self { place, name, issuer }
    }

    /// Its certificate, for those outside.
    pub fn file(&self) -> PathBuf {
        self.place.outside(&format!("{}.pem", self.name))
    }

    /// Signs the certificate of a person, and writes `NAME.pem` and `NAME.key`.
    pub fn certify_person(&self, name: &str) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.place.write(&format!("{name}.pem"), &certificate.pem());
        self.place.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// Signs a certificate for whatever is here or behind a proxy, and writes `NAME.pem` and `NAME.key`.
    pub fn certify(&self, name: &str) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        for address in [self.place.address(), Ipv4Addr::LOCALHOST] {
            params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.place.write(&format!("{name}.pem"), &certificate.pem());
        self.place.write(&format!("{name}.key"), &key.serialize_pem());
    }
}
