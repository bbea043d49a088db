//! MySQL and MariaDB, by mysql_async.
//!
//! The driver's own pool has no time limits and keeps a connection busy with what was given up, so it is not used.
//! Values travel in the binary protocol, apart from the text. All columns become text, numbers in decimal.

use std::{path::Path, time::Duration};

use mysql_async::{
    Conn, Error, IoError, Opts, OptsBuilder, Params, Row as Line, SslOpts, Value, consts::ColumnType,
    prelude::Queryable as _,
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    super::record::Record,
    server::{Ask, Bound, Database, Fault, Pace},
};
use crate::{
    config::{
        Query,
        sql::{Address, Server},
    },
    tls::{self, NoRoots},
};

/// Longest answer, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// How long a connection that is given up may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// One server.
pub(in crate::directory) struct MySql {
    opts: Opts,
}

/// A connection.
pub(in crate::directory) struct Link {
    conn: Conn,
    /// Whether there are rows that nobody has read.
    spent: bool,
}

impl MySql {
    /// How to connect to it. `Err` is the operator's to mend.
    pub(in crate::directory) fn new(server: &Server) -> Result<Self, String> {
        let password =
            server.password.as_ref().map(|secret| std::str::from_utf8(secret.expose()).map(str::to_owned));
        let password = password.transpose().map_err(|_| "password: it is not UTF-8".to_owned())?;
        let mut opts = OptsBuilder::default()
            .user(Some(server.user.clone()))
            .pass(password)
            .db_name(Some(server.database.clone()))
            // Asked for at each connection otherwise.
            .max_allowed_packet(Some(LONGEST))
            .wait_timeout(Some(28_800))
            // A host that is named is connected to, and never another way.
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(15)));
        match &server.address {
            Address::Tcp(host, port) => opts = opts.ip_or_hostname(host.clone()).tcp_port(*port),
            Address::Unix(path, _) => opts = opts.socket(Some(path.display().to_string())),
        }
        if let Some(tls) = &server.tls {
            opts = opts.ssl_opts(Some(
                trusting(tls.ca_file.as_deref()).map_err(|error| format!("ca_file: {error}"))?,
            ));
        }
        Ok(Self { opts: opts.into() })
    }
}

fn trusting(ca_file: Option<&Path>) -> Result<SslOpts, NoRoots> {
    let roots = tls::roots(ca_file)?;
    let roots = roots.into_iter().map(|root| root.to_vec().into()).collect();
    Ok(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
}

impl Database for MySql {
    type Link = Link;

    async fn connect(&self, pace: Pace) -> Result<Link, Fault> {
        // The server stops a question that nobody waits for any more. MySQL and MariaDB call it by other names, and
        // each takes the other's for a comment; servers that are older than both words know neither.
        let (seconds, milliseconds) = match pace {
            Pace::Short(time) => (time.as_secs_f64(), time.as_millis()),
            Pace::Long => (0.0, 0),
        };
        let init = format!(
            "SET @gatepost = 1 /*M!100101 , SESSION max_statement_time = {seconds:.3} */ \
             /*!50708 , SESSION max_execution_time = {milliseconds} */"
        );
        let opts = OptsBuilder::from_opts(self.opts.clone()).init(vec![init]);
        let conn = Conn::new(opts).await.map_err(|error| Fault::Broken(why(&error)))?;
        Ok(Link { conn, spent: false })
    }

    fn is_open(&self, link: &Link) -> bool {
        !link.spent
    }

    fn abandon(&self, link: Link) {
        // The driver would read to the end of what is going on, however long that takes.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(GOODBYE, link.conn.disconnect()));
        }
    }

    async fn rows(&self, link: &mut Link, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        let mut records = Vec::new();
        let mut result = link.conn.exec_iter(ask.query.sql(), bound(ask)).await.map_err(fault)?;
        while records.len() < most {
            match result.next().await.map_err(fault)? {
                Some(line) => records.push(record(line)),
                None => return Ok(records),
            }
        }
        drop(result);
        // There may be a million more.
        link.spent = true;
        Ok(records)
    }

    async fn stream(&self, link: &mut Link, ask: &Ask<'_>, to: &mpsc::Sender<Record>) -> Result<(), Fault> {
        let mut result = link.conn.exec_iter(ask.query.sql(), bound(ask)).await.map_err(fault)?;
        while let Some(line) = result.next().await.map_err(fault)? {
            if to.send(record(line)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn change(&self, link: &mut Link, ask: &Ask<'_>) -> Result<u64, Fault> {
        link.conn.exec_drop(ask.query.sql(), bound(ask)).await.map_err(fault)?;
        Ok(link.conn.affected_rows())
    }

    async fn columns(&self, link: &mut Link, query: &Query) -> Result<Vec<String>, Fault> {
        let statement = link.conn.prep(query.sql()).await.map_err(fault)?;
        let columns = statement.columns();
        Ok(columns.iter().map(|column| column.name_str().to_ascii_lowercase()).collect())
    }
}

fn bound(ask: &Ask<'_>) -> Params {
    let values: Vec<Value> = ask
        .bound()
        .map(|value| match value {
            Bound::Text(Some(text)) => Value::Bytes(text.as_bytes().to_vec()),
            Bound::Text(None) => Value::NULL,
            Bound::Number(number) => Value::Int(number),
        })
        .collect();
    if values.is_empty() { Params::Empty } else { Params::Positional(values) }
}

fn record(line: Line) -> Record {
    let columns = line.columns();
    let mut record = Record::with_capacity(columns.len());
    for (column, value) in columns.iter().zip(line.unwrap_raw()) {
        let is_bits = column.column_type() == ColumnType::MYSQL_TYPE_BIT;
        record.push(&column.name_str(), value.and_then(|value| text(value, is_bits)));
    }
    record
}

/// A value as the server would print it, apart from zeros behind the second.
fn text(value: Value, is_bits: bool) -> Option<Vec<u8>> {
    let text = match value {
        Value::NULL => return None,
        // BIT(1) is what some people make of a boolean.
        Value::Bytes(bytes) if is_bits && bytes.len() <= 8 => {
            bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string()
        }
        Value::Bytes(bytes) => return Some(bytes),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Date(year, month, day, 0, 0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        Value::Date(year, month, day, hour, minute, second, microseconds) => {
            let part = fraction(microseconds);
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{part}")
        }
        Value::Time(negative, days, hours, minutes, seconds, microseconds) => {
            let (sign, hours) = (if negative { "-" } else { "" }, u64::from(days) * 24 + u64::from(hours));
            format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(microseconds))
        }
    };
    Some(text.into_bytes())
}

/// The part of a second, where a column has it: two changes within one second have different stamps by it.
fn fraction(microseconds: u32) -> String {
    if microseconds == 0 { String::new() } else { format!(".{microseconds:06}") }
}

/// What an error while asking means.
fn fault(error: Error) -> Fault {
    let Error::Server(said) = &error else { return Fault::Broken(why(&error)) };
    match said.code {
        // Shut down, killed, disconnected for idling, network trouble, statements forgotten, read-only after a
        // failover: another connection may do.
        1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1243 | 1290 | 1615 | 1792 | 1836 | 1927 | 4031 => {
            Fault::Broken(why(&error))
        }
        // No SQL.
        1064 | 1149 => Fault::Wrong(why(&error)),
        _ => Fault::Refused(why(&error)),
    }
}

/// An error for the log. Some messages of servers quote values of rows; these are left out.
fn why(error: &Error) -> String {
    match error {
        // About names of things, and about logging in.
        Error::Server(said) if matches!(said.code, 1040..=1049 | 1054 | 1064 | 1130 | 1142..=1146 | 1203 | 1226 | 1305 | 1370) =>
        {
            format!("{} (error {})", said.message, said.code)
        }
        Error::Server(said) => match said.code {
            1969 | 3024 => "the server gave the question up after its time".to_owned(),
            1053 | 1927 | 4031 => "the server has ended the connection".to_owned(),
            1267 | 1271 => "a column cannot be compared with UTF-8 (illegal mix of collations)".to_owned(),
            code => format!("error {code} (SQLSTATE {})", said.state),
        },
        Error::Io(IoError::Io(error)) => error.to_string(),
        Error::Io(IoError::Tls(error)) => format!("TLS: {error}"),
        Error::Driver(error) => error.to_string(),
        Error::Other(_) | Error::Url(_) => "the driver failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::{Error, ServerError, Value};

    use super::{fault, text};
    use crate::directory::sql::server::Fault;

    #[test]
    fn values_become_the_text_that_the_server_would_print() {
        let table: &[(Value, bool, Option<&str>)] = &[
            (Value::NULL, false, None),
            (Value::Bytes(b"a\xc3\xa4".to_vec()), false, Some("a\u{e4}")),
            (Value::Bytes(vec![1]), true, Some("1")),
            (Value::Bytes(vec![0]), true, Some("0")),
            (Value::Bytes(vec![1, 0]), true, Some("256")),
            (Value::Int(-5), false, Some("-5")),
            (Value::UInt(u64::MAX), false, Some("18446744073709551615")),
            (Value::Double(0.5), false, Some("0.5")),
            (Value::Date(2026, 1, 2, 0, 0, 0, 0), false, Some("2026-01-02")),
            (Value::Date(2026, 1, 2, 3, 4, 5, 6), false, Some("2026-01-02 03:04:05.000006")),
            (Value::Date(2026, 1, 2, 3, 4, 5, 0), false, Some("2026-01-02 03:04:05")),
            (Value::Time(true, 1, 2, 3, 4, 0), false, Some("-26:03:04")),
            (Value::Time(false, 0, 2, 3, 4, 500_000), false, Some("02:03:04.500000")),
        ];
        for (value, is_bits, expected) in table {
            let got = text(value.clone(), *is_bits).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(got.as_deref(), *expected, "{value:?}");
        }
    }

    #[test]
    fn no_message_with_a_value_in_it_is_repeated() {
        let server = |code, message: &str| {
            Error::Server(ServerError { code, message: message.into(), state: "HY000".into() })
        };
        let table = [
            (1064, Fault::Wrong("You have an error near 'x' (error 1064)".into())),
            (1146, Fault::Refused("You have an error near 'x' (error 1146)".into())),
            (1292, Fault::Refused("error 1292 (SQLSTATE HY000)".into())),
            (1927, Fault::Broken("the server has ended the connection".into())),
        ];
        for (code, expected) in table {
            assert_eq!(fault(server(code, "You have an error near 'x'")), expected);
        }
    }
}
