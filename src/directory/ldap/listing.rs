//! All names, page by page (RFC 2696).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ldap3::{
    Scope, SearchOptions,
    controls::{Control, MakeCritical as _, PagedResults, RawControl},
};
use tokio::{
    sync::mpsc,
    time::{timeout, timeout_at},
};

use super::{
    ber::{self, Malformed},
    entry::Entry,
    link::Link,
    server::{For, Servers},
    verdict::{self, NoVerdict, Outcome},
};
use crate::{config::Template, directory::Unavailable, username::Username};

/// Entries of one answer. Many servers give no more than 1000 at once.
const PAGE: i32 = 500;

/// The control of the response.
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// What is listed.
pub(super) struct Listing<'a> {
    pub(super) servers: &'a Arc<Servers>,
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [String],
    /// The name of an entry.
    pub(super) name: &'a Template,
    pub(super) default_domain: Option<&'a str>,
    /// For each page.
    pub(super) timeout: Duration,
}

/// One page.
struct Page {
    names: Vec<Username>,
    /// Where the next one begins; nothing where there is none.
    cookie: Vec<u8>,
}

impl Listing<'_> {
    /// Sends the names that `serves` until there are no more, or nobody wants them. On a connection of its own: a
    /// server may remember one listing a connection, and a slow reader must not keep logins waiting.
    ///
    /// # Errors
    ///
    /// Why the list is not whole.
    pub(super) async fn run(
        &self,
        serves: impl Fn(&Username) -> bool,
        to: &mpsc::Sender<Result<Username, Unavailable>>,
    ) -> Result<(), String> {
        let link = self.servers.connect(For::Searches).await?;
        let mut cookie = Vec::new();
        loop {
            let page = timeout(self.timeout, self.page(&link, cookie.clone())).await;
            let page = page.map_err(|_| "no page in time".to_owned())??;
            for name in page.names.into_iter().filter(&serves) {
                if to.send(Ok(name)).await.is_err() {
                    return Ok(());
                }
            }
            if page.cookie.is_empty() {
                return Ok(());
            }
            if to.is_closed() {
                return Ok(());
            }
            if page.cookie == cookie {
                return Err("the server gives the same page again".to_owned());
            }
            cookie = page.cookie;
        }
    }

    async fn page(&self, link: &Link, cookie: Vec<u8>) -> Result<Page, String> {
        let closed = |_| "the connection was closed".to_owned();
        let deadline = Instant::now() + self.timeout;
        let mut ldap = link.handle();
        // A server that knows no pages must say so: it would send everything at once.
        let paged: RawControl = PagedResults { size: PAGE, cookie }.critical().into();
        ldap.with_controls(paged).with_search_options(SearchOptions::new());
        let mut stream = ldap
            .streaming_search(self.base, self.scope, self.filter, self.attributes)
            .await
            .map_err(closed)?;
        let mut names = Vec::new();
        while let Some(item) = timeout_at(deadline.into(), stream.next())
            .await
            .map_err(|_| "no page in time")?
            .map_err(closed)?
        {
            let entry = Entry::read(item.0).map_err(|Malformed| "an entry cannot be understood")?;
            names.extend(entry.and_then(|entry| self.name(&entry)));
            if names.len() > usize::try_from(PAGE).unwrap_or_default() {
                return Err("the server sends more than a page at once".to_owned());
            }
        }
        let result = stream.finish().await;
        let outcome = Outcome { code: result.rc, text: result.text };
        if outcome.code != verdict::SUCCESS {
            return Err(NoVerdict::of(&outcome).to_string());
        }
        Ok(Page { names, cookie: next(&result.ctrls)? })
    }

    /// `None`: whoever has no name cannot log in either.
    fn name(&self, entry: &Entry) -> Option<Username> {
        let text = self.name.expand(|name| entry.first(name)).ok()?;
        Username::normalise(&text, self.default_domain).ok()
    }
}

/// `SEQUENCE { size INTEGER, cookie OCTET STRING }`: where the next page begins.
fn next(controls: &[Control]) -> Result<Vec<u8>, &'static str> {
    let value = controls.iter().find(|Control(_, raw)| raw.ctype == PAGED_RESULTS);
    let value = value.and_then(|Control(_, raw)| raw.val.as_deref());
    let cookie = |value| -> Result<Vec<u8>, Malformed> {
        let (control, _) = ber::element(value)?;
        let (_, rest) = ber::element(control.content)?;
        let (cookie, _) = ber::element(rest)?;
        Ok(cookie.content.to_vec())
    };
    // Without it there is no telling whether this was all.
    value.and_then(|value| cookie(value).ok()).ok_or("the server does not say whether there is more")
}
