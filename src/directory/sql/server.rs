//! What the pool needs of a database: the one seam between MySQL, PostgreSQL and SQLite and everything else.

use std::{future::Future, time::Duration};

use tokio::sync::mpsc;

use super::super::record::Record;
use crate::config::{Parameter, Query};

/// A database of one kind.
pub(in crate::directory) trait Database: Send + Sync + 'static {
    /// One connection. A dropped one is closed.
    type Link: Send + 'static;

    /// Makes a connection and logs in.
    fn connect(&self, pace: Pace) -> impl Future<Output = Result<Self::Link, Fault>> + Send;

    /// Whether a connection may be used again, as far as is known without asking.
    fn is_open(&self, link: &Self::Link) -> bool;

    /// Gets rid of a connection on which something may still be going on, and has the server stop that.
    fn abandon(&self, link: Self::Link);

    /// The first `most` rows.
    fn rows(
        &self,
        link: &mut Self::Link,
        ask: &Ask<'_>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Record>, Fault>> + Send;

    /// All rows, one after the other as they are taken. Ends early when nobody takes them.
    fn stream(
        &self,
        link: &mut Self::Link,
        ask: &Ask<'_>,
        to: &mpsc::Sender<Record>,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Changes rows, and says how many.
    fn change(&self, link: &mut Self::Link, ask: &Ask<'_>)
    -> impl Future<Output = Result<u64, Fault>> + Send;

    /// The names of the columns that a query gives, in lower case. Nothing is executed.
    fn columns(
        &self,
        link: &mut Self::Link,
        query: &Query,
    ) -> impl Future<Output = Result<Vec<String>, Fault>> + Send;
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::directory) enum Pace {
    /// Questions, each of which the server gives up itself after so long.
    Short(Duration),
    /// A listing, which takes as long as its reader takes.
    Long,
}

/// Why there is no answer. The text is for the log; it holds no value of a row and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::directory) enum Fault {
    /// The connection cannot be had or cannot be used any more; another one may do.
    Broken(String),
    /// The server said no. The connection is fine.
    Refused(String),
    /// The query itself cannot be, whatever is in the tables.
    Wrong(String),
    /// Nothing was said in time.
    Silent,
    /// Too many questions are waiting already.
    Busy,
}

/// A query and what to bind.
#[derive(Debug, Clone, Copy)]
pub(in crate::directory) struct Ask<'a> {
    pub(in crate::directory) query: &'a Query,
    pub(in crate::directory) values: Values<'a>,
}

/// The values of all names that a query may hold.
#[derive(Clone, Copy, Default)]
pub(in crate::directory) struct Values<'a> {
    pub(in crate::directory) user: Option<&'a str>,
    pub(in crate::directory) local: Option<&'a str>,
    pub(in crate::directory) domain: Option<&'a str>,
    pub(in crate::directory) service: Option<&'a str>,
    pub(in crate::directory) after: Option<&'a str>,
    pub(in crate::directory) limit: i64,
    pub(in crate::directory) password: Option<&'a str>,
    pub(in crate::directory) old_password: Option<&'a str>,
    pub(in crate::directory) since: Option<&'a str>,
    pub(in crate::directory) claims: &'a [Option<String>],
    pub(in crate::directory) expanded: &'a [String],
}

/// One value to bind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::directory) enum Bound<'a> {
    Text(Option<&'a str>),
    Number(i64),
}

impl<'a> Ask<'a> {
    /// What to bind, in the order of the placeholders.
    pub(in crate::directory) fn bound(&self) -> impl Iterator<Item = Bound<'a>> + use<'a> {
        let values = self.values;
        self.query.parameters().iter().map(move |parameter| match parameter {
            Parameter::User | Parameter::Key => Bound::Text(values.user),
            Parameter::Local => Bound::Text(values.local),
            Parameter::Domain => Bound::Text(values.domain),
            Parameter::Service => Bound::Text(values.service),
            Parameter::After => Bound::Text(values.after),
            Parameter::Limit => Bound::Number(values.limit),
            Parameter::Password => Bound::Text(values.password),
            Parameter::OldPassword => Bound::Text(values.old_password),
            Parameter::Since => Bound::Text(values.since),
            Parameter::Claim(at) => {
                Bound::Text(values.claims.get(usize::from(*at)).and_then(|claim| claim.as_deref()))
            }
            Parameter::Expansion(at) => {
                Bound::Text(values.expanded.get(usize::from(*at)).map(String::as_str))
            }
        })
    }
}

impl std::fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Values({:?})", self.user)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(why) | Self::Refused(why) | Self::Wrong(why) => f.write_str(why),
            Self::Silent => f.write_str("no answer in time"),
            Self::Busy => f.write_str("too many questions are waiting"),
        }
    }
}
