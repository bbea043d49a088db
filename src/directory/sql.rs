//! Directories that are databases of somebody else: `mysql`, `postgres`, and `sqlite` with a `user_query`.
//!
//! The operator's queries are prepared statements; what a login brings along is bound. A user is one row: its columns
//! make the account (see `row`), and its column `user` is the name from then on. That is how aliases work, and it is
//! what keeps apart what a database takes for equal: MySQL's collations fold capitals and accents and ignore blanks at
//! the end, so the row that it finds may be that of another spelling.
//!
//! What went wrong while asking is no answer: [`Fault`] becomes `Unavailable`.

use std::{sync::Arc, time::Duration};

use gatepost_protocol::{postfix::address::halves, secret::Secret};

use self::{
    mysql::MySql,
    pool::{Pool, Times},
    postgres::Postgres,
    server::{Ask, Fault, Values},
    sqlite::Sqlite,
};
use super::{
    Inquiry, Known,
    record::Record,
    row::{Audience, BadRow, Recipe, Row, Value},
};
use crate::{
    app_password::Listed,
    config::{
        Dialect, MapFind, MapTable, Parameter, Part, Query, Subject,
        sql::{self as config, Changes, Source},
    },
    password::Decoy,
    username::Username,
};

mod changed;
mod list;
mod mysql;
mod pool;
mod postgres;
mod server;
mod sqlite;

/// The most app passwords of one user that are looked at.
const APP_PASSWORDS: usize = 200;

/// The most rows of a table of Postfix's that are looked at.
const FOUND: usize = 10_000;

/// One database and its queries.
pub(super) struct Sql {
    asked: Asked,
    recipe: Recipe,
    decoy: Arc<Decoy>,
    user_query: Option<Query>,
    list_query: Option<Query>,
    app_password_query: Option<Query>,
    update_password_query: Option<Query>,
    provision_query: Option<Query>,
    changes: Option<Changes>,
    change_poll: Option<Duration>,
}

enum Asked {
    MySql(Pool<MySql>),
    Postgres(Pool<Postgres>),
    Sqlite(Pool<Sqlite>),
}

/// Why a directory could not be examined.
pub(super) enum Examined {
    /// What the configuration says cannot be, whatever is in the tables.
    Misfit(String),
    /// It cannot be asked now.
    Unavailable(String),
}

impl Sql {
    /// Without asking anything so far. `Err` is the operator's to mend.
    pub(super) fn open(
        config: &config::Sql,
        change_poll: Option<Duration>,
        recipe: Recipe,
        decoy: &Arc<Decoy>,
    ) -> Result<Self, String> {
        recipe.warm();
        let (name, most) = (&recipe.directory, config.max_connections);
        let times = Times { whole: config.timeout, connect: config.connect_timeout };
        let asked = match &config.source {
            Source::File(path) => {
                let writes = config.update_password_query.is_some() || config.provision_query.is_some();
                let database = Sqlite::new(path, writes, most);
                Asked::Sqlite(Pool::new(database, name, times, most))
            }
            Source::Server(server) => match config.dialect {
                Dialect::Postgres => {
                    let database = Postgres::new(server).map_err(|error| format!("ca_file: {error}"))?;
                    Asked::Postgres(Pool::new(database, name, times, most))
                }
                Dialect::MySql | Dialect::Sqlite => {
                    let database = MySql::new(server)?;
                    Asked::MySql(Pool::new(database, name, times, most))
                }
            },
        };
        Ok(Self {
            asked,
            recipe,
            decoy: Arc::clone(decoy),
            user_query: config.user_query.clone(),
            list_query: config.list_query.clone(),
            app_password_query: config.app_password_query.clone(),
            update_password_query: config.update_password_query.clone(),
            provision_query: config.provision_query.clone(),
            changes: config.changes.clone(),
            change_poll,
        })
    }

    /// Whether the service is a part of a question.
    pub(super) fn reads_service(&self) -> bool {
        let queries = [self.user_query.as_ref(), self.app_password_query.as_ref()];
        queries.into_iter().flatten().any(|query| query.names(Parameter::Service))
    }

    /// The account of a user: one query, one round trip on a connection that has asked before.
    pub(super) async fn lookup(&self, inquiry: &Inquiry<'_>) -> Result<Known, String> {
        let Some(query) = &self.user_query else { return Ok(Known::Nobody) };
        let ask = Ask { query, values: values(inquiry) };
        let rows = self.rows(&ask, 2).await.map_err(|fault| format!("user_query: {fault}"))?;
        let [row] = rows.as_slice() else {
            return Ok(if rows.is_empty() { Known::Nobody } else { Known::Several });
        };
        if !row.has("user") {
            return Err(format!("user_query: {NO_USER}"));
        }
        if row.get("user").is_none() {
            return Err(format!("user_query: the user of the row of {:?} is NULL", inquiry.user));
        }
        let account = self.recipe.account(inquiry.user, &row.row());
        let account = account.map_err(|bad: BadRow| format!("{:?}: {bad}", inquiry.user))?;
        if let Some(password) = account.password.stored() {
            self.decoy.note(password);
        }
        Ok(Known::Account(Arc::new(account)))
    }

    /// The rows of `app_password_query`; none where there is no such query.
    pub(super) async fn app_passwords(&self, inquiry: &Inquiry<'_>) -> Result<Vec<Record>, String> {
        let Some(query) = &self.app_password_query else { return Ok(Vec::new()) };
        let ask = Ask { query, values: values(inquiry) };
        let rows = self.rows(&ask, APP_PASSWORDS).await;
        rows.map_err(|fault| format!("app_password_query: {fault}"))
    }

    /// Replaces a stored password by another one, unless it is no longer there. Whether it was.
    pub(super) async fn update_password(
        &self,
        user: &Username,
        old: &Secret,
        new: &Secret,
    ) -> Result<bool, String> {
        let Some(query) = &self.update_password_query else {
            return Err("it has no update_password_query".to_owned());
        };
        let text = |secret: &'_ Secret| std::str::from_utf8(secret.expose()).ok().map(str::to_owned);
        let (Some(old), Some(new)) = (text(old), text(new)) else {
            return Err("a password is stored in another encoding than UTF-8".to_owned());
        };
        let (old, new) = (zeroize::Zeroizing::new(old), zeroize::Zeroizing::new(new));
        let inquiry = Inquiry { user, service: "" };
        let values = Values { password: Some(&new), old_password: Some(&old), ..values(&inquiry) };
        let changed = self.change(&Ask { query, values }).await;
        changed.map(|rows| rows > 0).map_err(|fault| format!("update_password_query: {fault}"))
    }

    /// Makes a user, of whom a token says this for each of [`Self::provision_claims`].
    pub(super) async fn provision(&self, user: &Username, claims: &[Option<String>]) -> Result<(), String> {
        let Some(query) = &self.provision_query else { return Err("it has no provision_query".to_owned()) };
        let inquiry = Inquiry { user, service: "" };
        let ask = Ask { query, values: Values { claims, ..values(&inquiry) } };
        let made = self.change(&ask).await;
        made.map(drop).map_err(|fault| format!("provision_query: {fault}"))
    }

    /// The claims that its `provision_query` names, if there is one.
    pub(super) fn provision_claims(&self) -> Option<&[String]> {
        self.provision_query.as_ref().map(Query::claims)
    }

    /// The values of all columns of all rows of a table of Postfix's, in their order; NULL left out.
    pub(super) async fn find(&self, query: &Query, key: &str) -> Result<Vec<Vec<u8>>, String> {
        let subject = Subject::key(key);
        let expanded = query.expansions().iter().map(|expansion| expansion.plain(&subject));
        let Some(expanded) = expanded.collect::<Option<Vec<_>>>() else { return Ok(Vec::new()) };
        let (local, domain) = halves(key);
        let values =
            Values { user: Some(key), local: Some(local), domain, expanded: &expanded, ..Values::default() };
        let rows = self.rows(&Ask { query, values }, FOUND + 1).await.map_err(|fault| fault.to_string())?;
        if rows.len() > FOUND {
            return Err(format!("it gives more than {FOUND} rows"));
        }
        let values = rows.iter().flat_map(Record::columns).filter_map(|(_, value)| value);
        Ok(values.map(<[u8]>::to_vec).collect())
    }

    async fn change(&self, ask: &Ask<'_>) -> Result<u64, Fault> {
        match &self.asked {
            Asked::MySql(pool) => pool.change(ask).await,
            Asked::Postgres(pool) => pool.change(ask).await,
            Asked::Sqlite(pool) => pool.change(ask).await,
        }
    }

    /// Whether there is an `update_password_query`.
    pub(super) fn updates_passwords(&self) -> bool {
        self.update_password_query.is_some()
    }

    /// Whether there is an `app_password_query`.
    pub(super) fn has_app_passwords(&self) -> bool {
        self.app_password_query.is_some()
    }

    /// Has the database read all queries, without executing any, and looks at the columns that they would give.
    pub(super) async fn examine(&self, maps: &[MapTable]) -> Result<(), Examined> {
        let tables = maps.iter().filter_map(|table| match &table.find {
            MapFind::Sql(query) => Some((format!("maps.{}", table.map), query)),
            MapFind::Ldap(_) | MapFind::Own(_) => None,
        });
        let tables: Vec<_> = tables.collect();
        let tables = tables.iter().map(|(key, query)| (key.as_str(), Some(*query), false));
        let queries = [
            ("user_query", self.user_query.as_ref(), true),
            ("list_query", self.list_query.as_ref(), true),
            ("app_password_query", self.app_password_query.as_ref(), false),
            ("update_password_query", self.update_password_query.as_ref(), false),
            ("provision_query", self.provision_query.as_ref(), false),
            (CHANGED, self.changes.as_ref().map(|changes| &changes.written), true),
            ("changed_query, sorted by changed", self.changes.as_ref().map(|changes| &changes.query), true),
        ];
        for (key, query, names) in queries.into_iter().chain(tables) {
            let Some(query) = query else { continue };
            let columns = match &self.asked {
                Asked::MySql(pool) => pool.columns(query).await,
                Asked::Postgres(pool) => pool.columns(query).await,
                Asked::Sqlite(pool) => pool.columns(query).await,
            };
            let columns = columns.map_err(|fault| match fault {
                Fault::Wrong(why) => Examined::Misfit(format!("{key}: {why}")),
                Fault::Broken(_) | Fault::Refused(_) | Fault::Silent | Fault::Busy => {
                    Examined::Unavailable(format!("{key}: {fault}"))
                }
            })?;
            if names && !columns.iter().any(|column| column == "user") {
                return Err(Examined::Misfit(format!("{key}: {NO_USER}")));
            }
            if key == CHANGED && !columns.iter().any(|column| column == "changed") {
                return Err(Examined::Misfit(format!("{key}: {NO_TIME}")));
            }
            if key == "app_password_query" {
                let judged = Listed::judge(columns.iter().map(String::as_str));
                judged.map_err(|bad| Examined::Misfit(format!("{key}: {bad}")))?;
            }
            if key == "user_query" {
                self.judge(&columns).map_err(|bad| Examined::Misfit(format!("{key}: {bad}")))?;
            }
        }
        Ok(())
    }

    /// Whether rows with these columns can be accounts, as far as their values have no say in it.
    fn judge(&self, columns: &[String]) -> Result<(), String> {
        for (field, template) in &self.recipe.fields {
            for part in template.parts() {
                let Part::Name(name) = part else { continue };
                let is_there = |column: &String| column.eq_ignore_ascii_case(name);
                if !matches!(name.as_str(), "user" | "local" | "domain") && !columns.iter().any(is_there) {
                    return Err(format!("fields.{field} needs {{{name}}}, which is no column of it"));
                }
            }
        }
        let mut row = Row::default();
        for column in columns {
            row.put(Audience::Column, column, Value::Null);
        }
        let Ok(somebody) = Username::normalise(b"somebody@example.org", None) else { return Ok(()) };
        match self.recipe.account(&somebody, &row) {
            Err(bad @ (BadRow::Refused(_) | BadRow::FieldName)) => {
                Err(format!("{bad}; give the column another name with AS"))
            }
            Err(bad @ (BadRow::Slip(_) | BadRow::Template { .. })) => Err(bad.to_string()),
            Ok(_)
            | Err(
                BadRow::Boolean(_)
                | BadRow::Nets
                | BadRow::Name
                | BadRow::PasswordUser
                | BadRow::Moment
                | BadRow::Domain
                | BadRow::Id(_)
                | BadRow::Text(_),
            ) => Ok(()),
        }
    }

    async fn rows(&self, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        match &self.asked {
            Asked::MySql(pool) => pool.rows(ask, most).await,
            Asked::Postgres(pool) => pool.rows(ask, most).await,
            Asked::Sqlite(pool) => pool.rows(ask, most).await,
        }
    }
}

const CHANGED: &str = "changed_query";

const NO_TIME: &str = "it gives no column named changed: write AS changed behind the column with the time";

const NO_USER: &str = "it gives no column named user: write AS user behind the column with the name";

fn values<'a>(inquiry: &Inquiry<'a>) -> Values<'a> {
    // A peer may say anything. NUL is no text to PostgreSQL, and no name of a service holds it.
    let service = Some(inquiry.service).filter(|name| !name.is_empty() && !name.contains(char::is_control));
    Values {
        user: Some(inquiry.user.as_str()),
        local: Some(inquiry.user.local()),
        domain: inquiry.user.domain(),
        service,
        ..Values::default()
    }
}
