//! Addresses of providers and of the proxy on the way to them.

use std::fmt;

use openidconnect::url::Url;

use crate::config::problem::Wrong;

/// `http://host:port`: asked for a tunnel to the provider, which it cannot look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name or an address, without brackets.
    pub host: String,
    /// Default: 3128.
    pub port: u16,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Kept as it is written: an issuer with another `/` at its end is another issuer (OpenID Connect Discovery 1.0 4.3).
pub(super) fn issuer(text: &str) -> Result<Box<str>, Wrong> {
    let url = https(text, "as in \"https://id.example.org/realms/mail\"")?;
    if url.query().is_some() {
        return Err(Wrong::new("has a query, which no issuer has", "write the address alone"));
    }
    Ok(text.into())
}

/// Where a question goes to.
pub(super) fn endpoint(text: &str) -> Result<Box<str>, Wrong> {
    https(text, "as the provider names it in its discovery document")?;
    Ok(text.into())
}

pub(super) fn proxy(text: &str) -> Result<Proxy, Wrong> {
    let remedy = "write such as \"http://proxy.example.org:3128\"";
    let wrong = || Wrong::new("is no address of a proxy", remedy);
    let url = Url::parse(text).map_err(|_| wrong())?;
    if url.scheme() != "http"
        || !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new(
            "holds a name or a password, which gatepost does not send to a proxy",
            remedy,
        ));
    }
    // `http` hides its own port, which is as good as any.
    let port = if text.trim_end_matches('/').ends_with(":80") { 80 } else { url.port().unwrap_or(3128) };
    let host = url.host_str().ok_or_else(wrong)?;
    Ok(Proxy { host: host.trim_matches(['[', ']']).to_owned(), port })
}

fn https(text: &str, example: &str) -> Result<Url, Wrong> {
    let wrong = || Wrong::new("is no URL of https", format!("write it {example}"));
    let url = Url::parse(text).map_err(|_| wrong())?;
    match url.scheme() {
        "https" => {}
        "http" => {
            let what = "would send tokens for everybody on the way to read, and believe whoever answers";
            return Err(Wrong::new(what, "write https://, with ca_file for a certificate of your own"));
        }
        _ => return Err(wrong()),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(Wrong::new(
            "says more than where it is",
            "leave out what stands before an @ or behind a #",
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_can_listen_to_is_an_address_of_a_provider() {
        for text in ["https://id.example.org", "https://id.example.org/", "https://[::1]:8443/realms/a%20b"] {
            assert_eq!(issuer(text).as_deref(), Ok(text), "as it is written");
        }
        for text in [
            "",
            "id.example.org",
            "http://localhost",
            "https://",
            "https://a@b",
            "https://u:p@b",
            "https://b#c",
            "https://b?c",
            "file:///etc/passwd",
        ] {
            assert!(issuer(text).is_err(), "{text}");
        }
        assert!(endpoint("https://id.example.org/introspect?tenant=1").is_ok());
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("http://proxy.example.org", "proxy.example.org", 3128),
            ("http://proxy:80/", "proxy", 80),
            ("http://[2001:db8::1]:8080", "2001:db8::1", 8080),
        ] {
            assert_eq!(proxy(text), Ok(Proxy { host: host.to_owned(), port }), "{text}");
        }
        for text in ["proxy:3128", "https://proxy", "socks5://proxy", "http://u:p@proxy", "http://proxy/path"]
        {
            assert!(proxy(text).is_err(), "{text}");
        }
    }
}
