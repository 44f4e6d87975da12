//! Which certificates of gateways are trusted.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::BuildError;

/// What a client checks gateways with. Cheap to clone: its sessions share what TLS remembers.
#[derive(Clone)]
pub(crate) struct Trust(pub(crate) Arc<ClientConfig>);

impl Trust {
    /// The roots that browsers trust (Mozilla's).
    pub fn usual() -> Result<Self, BuildError> {
        Self::in_roots(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    /// Only what these certificates have signed.
    pub fn in_pem(pem: &[u8]) -> Result<Self, BuildError> {
        let unusable = |error: &dyn fmt::Display| BuildError::Certificates(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        if roots.is_empty() {
            return Err(unusable(&"there is none in PEM form"));
        }
        Self::in_roots(roots)
    }

    fn in_roots(roots: RootCertStore) -> Result<Self, BuildError> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| BuildError::Certificates(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(Trust::usual().is_ok());
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(Trust::in_pem(text.as_bytes()), Err(BuildError::Certificates(_))), "{text:?}");
        }
    }
}
