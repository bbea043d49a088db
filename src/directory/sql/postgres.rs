//! PostgreSQL, by tokio-postgres.
//!
//! Parameters are declared as `text`, so that no type of a column makes a value something else than what was typed;
//! who compares with a number writes `id::text = :user`. Rows come in the binary form and become text in `value`.

use std::{sync::Arc, time::Duration};

use futures_util::{TryStreamExt as _, pin_mut};
use rustls::ClientConfig;
use tokio::{sync::mpsc, task::AbortHandle, time::timeout};
use tokio_postgres::{
    CancelToken, Client, Column, Config, Error, NoTls, Row as Line, Statement,
    config::SslMode,
    error::SqlState,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::value::Text;
use super::{
    super::record::Record,
    server::{Ask, Bound, Database, Fault, Pace},
};
use crate::{
    config::{
        Parameter, Query,
        sql::{Address, Server},
    },
    tls::{self, NoRoots},
};

mod value;

/// How long the server may take to be told to stop.
const CANCELLING: Duration = Duration::from_secs(2);

/// Statements that a connection keeps. A directory has five.
const STATEMENTS: usize = 16;

/// One server.
pub(in crate::directory) struct Postgres {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection.
pub(in crate::directory) struct Link {
    client: Client,
    driver: AbortHandle,
    statements: Vec<(String, Statement)>,
    /// Whether something is going on, or was when it was given up.
    busy: bool,
}

impl Postgres {
    /// How to connect to it.
    pub(in crate::directory) fn new(server: &Server) -> Result<Self, NoRoots> {
        let mut config = Config::new();
        config.user(&server.user).dbname(&server.database).application_name("gatepost");
        if let Some(password) = &server.password {
            config.password(password.expose());
        }
        match &server.address {
            Address::Tcp(host, port) => config.host(host).port(*port),
            Address::Unix(directory, port) => config.host_path(directory).port(*port),
        };
        config.keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(10));
        let tls = match &server.tls {
            Some(tls) => Some(tls::client(tls.ca_file.as_deref())?),
            None => None,
        };
        // Never without, where it is wanted: the server does not decide over it.
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, tls })
    }
}

impl Database for Postgres {
    type Link = Link;

    async fn connect(&self, pace: Pace) -> Result<Link, Fault> {
        let broken = |error: Error| Fault::Broken(why(&error));
        let (client, driver) = match &self.tls {
            Some(tls) => {
                let tls = MakeRustlsConnect::new(ClientConfig::clone(tls));
                let (client, connection) = self.config.connect(tls).await.map_err(broken)?;
                (client, tokio::spawn(connection))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(broken)?;
                (client, tokio::spawn(connection))
            }
        };
        // Until the first answer: whoever gives up before that ends the driver too.
        let mut link = Link { client, driver: driver.abort_handle(), statements: Vec::new(), busy: true };
        let milliseconds = match pace {
            Pace::Short(time) => time.as_millis(),
            Pace::Long => 0,
        };
        // Not among the parameters of the start, which PgBouncer does not take.
        let limit = format!("SET statement_timeout = {milliseconds}");
        link.client.batch_execute(&limit).await.map_err(broken)?;
        link.busy = false;
        Ok(link)
    }

    fn is_open(&self, link: &Link) -> bool {
        !link.busy && !link.client.is_closed()
    }

    fn abandon(&self, link: Link) {
        let cancel = link.client.cancel_token();
        let running = link.busy && !link.client.is_closed();
        drop(link);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if running {
            runtime.spawn(timeout(CANCELLING, stop(cancel, self.tls.clone())));
        }
    }

    async fn rows(&self, link: &mut Link, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        link.busy = true;
        let read = link.rows(ask, most).await;
        // Of what is not read to its end there may be a million more.
        link.busy = matches!(read, Ok((_, false)));
        read.map(|(records, _)| records)
    }

    async fn stream(&self, link: &mut Link, ask: &Ask<'_>, to: &mpsc::Sender<Record>) -> Result<(), Fault> {
        link.busy = true;
        let statement = link.statement(ask.query).await?;
        let bound: Vec<Bound<'_>> = ask.bound().collect();
        let lines = link.client.query_raw(&statement, bound.iter().map(parameter)).await.map_err(fault)?;
        pin_mut!(lines);
        while let Some(line) = lines.try_next().await.map_err(fault)? {
            if to.send(record(&line)?).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn change(&self, link: &mut Link, ask: &Ask<'_>) -> Result<u64, Fault> {
        link.busy = true;
        let changed = link.change(ask).await;
        link.busy = false;
        changed
    }

    async fn columns(&self, link: &mut Link, query: &Query) -> Result<Vec<String>, Fault> {
        link.busy = true;
        let statement = link.statement(query).await;
        link.busy = false;
        let statement = statement?;
        if let Some(column) = statement.columns().iter().find(|column| !value::prints(column.type_())) {
            return Err(unprinted(column));
        }
        Ok(statement.columns().iter().map(|column| column.name().to_ascii_lowercase()).collect())
    }
}

impl Link {
    /// The first rows, and whether there are no more.
    async fn rows(&mut self, ask: &Ask<'_>, most: usize) -> Result<(Vec<Record>, bool), Fault> {
        let statement = self.statement(ask.query).await?;
        let bound: Vec<Bound<'_>> = ask.bound().collect();
        let lines = self.client.query_raw(&statement, bound.iter().map(parameter)).await.map_err(fault)?;
        pin_mut!(lines);
        let mut records = Vec::new();
        while records.len() < most {
            match lines.try_next().await.map_err(fault)? {
                Some(line) => records.push(record(&line)?),
                None => return Ok((records, true)),
            }
        }
        Ok((records, false))
    }

    async fn change(&mut self, ask: &Ask<'_>) -> Result<u64, Fault> {
        let statement = self.statement(ask.query).await?;
        let bound: Vec<Bound<'_>> = ask.bound().collect();
        self.client.execute_raw(&statement, bound.iter().map(parameter)).await.map_err(fault)
    }

    /// The statement of a query, which is prepared when it is first used.
    async fn statement(&mut self, query: &Query) -> Result<Statement, Fault> {
        if let Some((_, statement)) = self.statements.iter().find(|(sql, _)| sql == query.sql()) {
            return Ok(statement.clone());
        }
        let type_of = |parameter: &Parameter| match parameter {
            Parameter::Limit => Type::INT8,
            Parameter::User
            | Parameter::Local
            | Parameter::Domain
            | Parameter::Service
            | Parameter::Key
            | Parameter::After
            | Parameter::Password
            | Parameter::OldPassword
            | Parameter::Since
            | Parameter::Claim(_)
            | Parameter::Expansion(_) => Type::TEXT,
        };
        let types: Vec<Type> = query.parameters().iter().map(type_of).collect();
        let statement = self.client.prepare_typed(query.sql(), &types).await.map_err(fault)?;
        if self.statements.len() < STATEMENTS {
            self.statements.push((query.sql().to_owned(), statement.clone()));
        }
        Ok(statement)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It would wait for the end of what nobody wants to know any more. Otherwise it says goodbye.
        if self.busy {
            self.driver.abort();
        }
    }
}

/// Has the server stop what it does on a connection. There is no answer.
async fn stop(cancel: CancelToken, tls: Option<Arc<ClientConfig>>) {
    let _ = match tls {
        Some(tls) => cancel.cancel_query(MakeRustlsConnect::new(ClientConfig::clone(&tls))).await,
        None => cancel.cancel_query(NoTls).await,
    };
}

fn parameter<'a>(bound: &'a Bound<'_>) -> &'a (dyn ToSql + Sync) {
    match bound {
        Bound::Text(text) => text,
        Bound::Number(number) => number,
    }
}

fn record(line: &Line) -> Result<Record, Fault> {
    let mut record = Record::with_capacity(line.len());
    for (at, column) in line.columns().iter().enumerate() {
        let value: Option<Text> = line.try_get(at).map_err(|_| unprinted(column))?;
        record.push(column.name(), value.map(|Text(text)| text));
    }
    Ok(record)
}

fn unprinted(column: &Column) -> Fault {
    let (name, kind) = (column.name(), column.type_().name());
    Fault::Wrong(format!("the column {name} is of type {kind}, which has no plain text: write {name}::text"))
}

/// What an error while asking means.
fn fault(error: Error) -> Fault {
    let Some(code) = error.code() else { return Fault::Broken(why(&error)) };
    match code.code() {
        // The connection, or the server as a whole; a statement that is gone, which PgBouncer and changes of a table
        // bring about; a server that has become read-only. Another connection may do.
        "25006" | "26000" | "0A000" | "57P01" | "57P02" | "57P03" => Fault::Broken(why(&error)),
        code if code.starts_with("08") => Fault::Broken(why(&error)),
        // No SQL, or a placeholder where there can be none.
        "42601" | "42P02" => Fault::Wrong(why(&error)),
        _ => Fault::Refused(why(&error)),
    }
}

/// An error for the log. Some messages of servers quote values of rows; these are left out.
fn why(error: &Error) -> String {
    let Some(said) = error.as_db_error() else {
        return match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let code = said.code().code();
    // About names and types of things, logging in, and shutting down.
    let speaks = ["28", "3D", "42", "53", "57"].iter().any(|class| code.starts_with(class));
    if *said.code() == SqlState::QUERY_CANCELED {
        "the server gave the question up after its time".to_owned()
    } else if speaks {
        format!("{} (SQLSTATE {code})", said.message())
    } else {
        format!("SQLSTATE {code}")
    }
}
