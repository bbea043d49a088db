//! Listings: the names of all users, without holding them all.

use tokio::sync::mpsc;
use tracing::warn;

use super::{
    super::{Unavailable, record::Record},
    Asked, Pool, Sql,
    server::{Ask, Database, Fault, Values},
};
use crate::{
    config::{Parameter, Query},
    username::Username,
};

/// Rows of a page.
const PAGE: i64 = 1000;

/// Rows that are read before their reader has taken the ones before.
const AHEAD: usize = 64;

impl Sql {
    /// Hands over the names that the directory serves, until there are no more or nobody takes them.
    pub(in crate::directory) async fn list(&self, to: &Names) -> Result<(), String> {
        if self.user_query.is_none() {
            return Ok(());
        }
        let Some(query) = &self.list_query else {
            return Err("it has no list_query, so nobody can say who is in it".to_owned());
        };
        let listed = match &self.asked {
            Asked::MySql(pool) => self.list_from(pool, query, to).await,
            Asked::Postgres(pool) => self.list_from(pool, query, to).await,
            Asked::Sqlite(pool) => self.list_from(pool, query, to).await,
        };
        listed.map_err(|fault| format!("list_query: {fault}"))
    }

    async fn list_from<D: Database>(&self, pool: &Pool<D>, query: &Query, to: &Names) -> Result<(), Fault> {
        let mut unusable = 0_u64;
        if query.names(Parameter::Limit) {
            let mut after = String::new();
            loop {
                let values = Values { after: Some(&after), limit: PAGE, ..Values::default() };
                // One more than there can be: what comes whole leaves the connection free for the next page.
                let most = usize::try_from(PAGE).unwrap_or(usize::MAX) + 1;
                let page = pool.rows(&Ask { query, values }, most).await?;
                let Some(last) = page.last() else { break };
                let last = named(last)?.to_owned();
                if last == after {
                    let what =
                        "it gives the same rows again: write WHERE name > :after ORDER BY name LIMIT :limit";
                    return Err(Fault::Wrong(what.to_owned()));
                }
                after = last;
                if to.is_closed() {
                    return Ok(());
                }
                for record in &page {
                    match self.pass_on(named(record)?, to).await {
                        Passed::On => {}
                        Passed::Unusable => unusable += 1,
                        Passed::Unwanted => return Ok(()),
                    }
                }
            }
        } else {
            let (read, mut rows) = mpsc::channel(AHEAD);
            let ask = Ask { query, values: Values::default() };
            let reading = async move {
                let done = pool.stream(&ask, &read).await;
                drop(read);
                done
            };
            let taking = async {
                while let Some(record) = rows.recv().await {
                    match self.pass_on(named(&record)?, to).await {
                        Passed::On => {}
                        Passed::Unusable => unusable += 1,
                        Passed::Unwanted => break,
                    }
                }
                drop(rows);
                Ok(())
            };
            let (read, taken) = tokio::join!(reading, taking);
            taken.and(read)?;
        }
        if unusable > 0 {
            warn!(directory = %self.recipe.directory, unusable, "rows of list_query have names that nobody can log in with");
        }
        Ok(())
    }

    async fn pass_on(&self, text: &str, to: &Names) -> Passed {
        let name = Username::normalise(text.as_bytes(), self.recipe.default_domain.as_deref());
        let Ok(name) = name else { return Passed::Unusable };
        if !self.recipe.domains.serve(&name) || to.send(Ok(name)).await.is_ok() {
            return Passed::On;
        }
        Passed::Unwanted
    }
}

type Names = mpsc::Sender<Result<Username, Unavailable>>;

/// What became of a name.
enum Passed {
    /// It was taken, or is in a domain of somebody else.
    On,
    /// Nobody can log in with it.
    Unusable,
    /// Nobody reads any more.
    Unwanted,
}

fn named(record: &Record) -> Result<&str, Fault> {
    let name = record.get("user").and_then(|name| std::str::from_utf8(name).ok());
    name.ok_or_else(|| {
        Fault::Wrong("it gives no column named user: write AS user behind the name".to_owned())
    })
}
