use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{Pool, Times};
use crate::{
    config::{Config, Query, Surroundings},
    directory::{
        record::Record,
        sql::server::{Ask, Database, Fault, Pace, Values},
    },
};

/// A database that does what the test says.
#[derive(Clone, Default)]
struct Puppet(Arc<Strings>);

#[derive(Default)]
struct Strings {
    made: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    abandoned: AtomicUsize,
    /// Links with a lower number say nothing, or break.
    silent_below: AtomicUsize,
    broken_below: AtomicUsize,
    /// Nobody can connect: refused (1), or nothing is said (2).
    closed: AtomicUsize,
    /// The query is refused.
    refuses: AtomicUsize,
    /// How long an answer takes, in milliseconds.
    takes: AtomicUsize,
}

struct Link {
    number: usize,
    strings: Arc<Strings>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.strings.open.fetch_sub(1, SeqCst);
    }
}

impl Database for Puppet {
    type Link = Link;

    async fn connect(&self, _pace: Pace) -> Result<Link, Fault> {
        match self.0.closed.load(SeqCst) {
            0 => {}
            1 => return Err(Fault::Broken("refused".into())),
            _ => pending().await,
        }
        let open = self.0.open.fetch_add(1, SeqCst) + 1;
        self.0.most_open.fetch_max(open, SeqCst);
        Ok(Link { number: self.0.made.fetch_add(1, SeqCst), strings: Arc::clone(&self.0) })
    }

    fn is_open(&self, _link: &Link) -> bool {
        true
    }

    fn abandon(&self, _link: Link) {
        self.0.abandoned.fetch_add(1, SeqCst);
    }

    async fn rows(&self, link: &mut Link, _ask: &Ask<'_>, _most: usize) -> Result<Vec<Record>, Fault> {
        if link.number < self.0.silent_below.load(SeqCst) {
            pending::<()>().await;
        }
        if link.number < self.0.broken_below.load(SeqCst) {
            return Err(Fault::Broken("broken".into()));
        }
        tokio::time::sleep(Duration::from_millis(self.0.takes.load(SeqCst) as u64)).await;
        if self.0.refuses.load(SeqCst) > 0 {
            return Err(Fault::Refused("no such table".into()));
        }
        let mut record = Record::with_capacity(1);
        record.push("link", Some(link.number.to_string().into_bytes()));
        Ok(vec![record])
    }

    async fn stream(
        &self,
        _link: &mut Link,
        _ask: &Ask<'_>,
        _to: &mpsc::Sender<Record>,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn change(&self, link: &mut Link, ask: &Ask<'_>) -> Result<u64, Fault> {
        self.rows(link, ask, 1).await.map(|_| 1)
    }

    async fn columns(&self, _link: &mut Link, _query: &Query) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
}

const TIMES: Times = Times { whole: Duration::from_secs(3), connect: Duration::from_secs(1) };

fn pool(most: usize) -> (Arc<Pool<Puppet>>, Arc<Strings>) {
    let puppet = Puppet::default();
    let strings = Arc::clone(&puppet.0);
    (Arc::new(Pool::new(puppet, &"test".into(), TIMES, most)), strings)
}

/// The number of the connection that answers.
async fn ask(pool: &Pool<Puppet>) -> Result<usize, Fault> {
    let query = query();
    let rows = pool.rows(&Ask { query: &query, values: Values::default() }, 1).await?;
    Ok(std::str::from_utf8(rows[0].get("link").unwrap()).unwrap().parse().unwrap())
}

fn query() -> Query {
    let text = "[[directory]]\nname = 'a'\ntype = 'sqlite'\nfile = '/f'\nuser_query = 'SELECT :user'\n";
    let around = Surroundings::of_this_process(true);
    let config = Config::from_texts(&[("a.toml".as_ref(), text)], &around).unwrap();
    match &config.directories[0].kind {
        crate::config::Kind::Sql(sql) => sql.user_query.clone().unwrap(),
        kind => panic!("{kind:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_and_there_are_never_more_than_allowed() {
    let (pool, strings) = pool(3);
    for _ in 0..5 {
        assert_eq!(ask(&pool).await, Ok(0));
    }
    strings.takes.store(100, SeqCst);
    let asked = (0..20).map(|_| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { ask(&pool).await })
    });
    for asked in asked.collect::<Vec<_>>() {
        assert!(asked.await.unwrap().is_ok());
    }
    assert_eq!((strings.most_open.load(SeqCst), strings.made.load(SeqCst)), (3, 3));
    assert_eq!(strings.abandoned.load(SeqCst), 0);
    drop(pool);
    assert_eq!((strings.abandoned.load(SeqCst), strings.open.load(SeqCst)), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connection_waits_no_longer_than_a_question_may_take() {
    let (pool, strings) = pool(1);
    strings.takes.store(2000, SeqCst);
    let begun = Instant::now();
    let asked: Vec<_> = (0..1500)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { ask(&pool).await })
        })
        .collect();
    let (mut answered, mut silent, mut busy) = (0, 0, 0);
    for asked in asked {
        match asked.await.unwrap() {
            Ok(_) => answered += 1,
            Err(Fault::Silent) => silent += 1,
            Err(Fault::Busy) => busy += 1,
            Err(fault) => panic!("{fault:?}"),
        }
    }
    assert_eq!(begun.elapsed(), TIMES.whole);
    // One is answered at two seconds; 1024 may wait, and the one that was next in line is given up.
    assert_eq!((answered, silent, busy), (1, 1024, 475));
    strings.takes.store(0, SeqCst);
    assert!(ask(&pool).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_breaks_on_an_old_connection_goes_over_a_new_one_once() {
    let (pool, strings) = pool(2);
    assert_eq!(ask(&pool).await, Ok(0));
    strings.broken_below.store(1, SeqCst);
    assert_eq!(ask(&pool).await, Ok(1));
    assert_eq!(ask(&pool).await, Ok(1));
    assert_eq!(strings.open.load(SeqCst), 1);
    strings.broken_below.store(9, SeqCst);
    assert_eq!(ask(&pool).await, Err(Fault::Broken("broken".into())));
    assert_eq!((strings.made.load(SeqCst), strings.open.load(SeqCst)), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_not_made_twice() {
    let (pool, strings) = pool(2);
    assert_eq!(ask(&pool).await, Ok(0));
    strings.broken_below.store(1, SeqCst);
    let query = query();
    let ask = Ask { query: &query, values: Values::default() };
    // Nor does it keep anybody from being looked up: a replica takes no changes.
    assert_eq!(pool.change(&ask).await, Err(Fault::Refused("broken".into())));
    assert_eq!(strings.made.load(SeqCst), 1);
    assert_eq!(pool.rows(&ask, 1).await.map(|rows| rows.len()), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn beside_a_silent_connection_a_new_one_is_tried_after_a_second() {
    for most in [2, 1] {
        let (pool, strings) = pool(most);
        assert_eq!(ask(&pool).await, Ok(0));
        strings.silent_below.store(1, SeqCst);
        let begun = Instant::now();
        assert_eq!(ask(&pool).await, Ok(1));
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert!(strings.most_open.load(SeqCst) <= most);
        assert_eq!(
            (strings.abandoned.load(SeqCst), strings.open.load(SeqCst)),
            (1, 1),
            "the dead one is gone"
        );
        assert_eq!(ask(&pool).await, Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_on_an_old_connection_is_waited_for() {
    let (pool, strings) = pool(2);
    assert_eq!(ask(&pool).await, Ok(0));
    strings.takes.store(1500, SeqCst);
    let begun = Instant::now();
    assert_eq!(ask(&pool).await, Ok(0));
    assert_eq!(begun.elapsed(), Duration::from_millis(1500));
    // Even if nobody can connect beside it.
    strings.closed.store(1, SeqCst);
    assert_eq!(ask(&pool).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_longer_than_configured_and_nothing_is_kept_of_it() {
    let (pool, strings) = pool(2);
    strings.closed.store(2, SeqCst);
    let begun = Instant::now();
    assert_eq!(ask(&pool).await, Err(Fault::Broken("no connection in time".into())));
    assert_eq!(begun.elapsed(), TIMES.connect);

    let (pool, strings) = super::tests::pool(2);
    assert_eq!(ask(&pool).await, Ok(0));
    strings.silent_below.store(9, SeqCst);
    let begun = Instant::now();
    assert_eq!(ask(&pool).await, Err(Fault::Silent));
    assert_eq!(begun.elapsed(), TIMES.whole);
    assert_eq!(strings.open.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn what_its_asker_gives_up_is_abandoned() {
    let (pool, strings) = pool(1);
    assert_eq!(ask(&pool).await, Ok(0));
    strings.takes.store(500, SeqCst);
    assert!(tokio::time::timeout(Duration::from_millis(100), ask(&pool)).await.is_err());
    assert_eq!((strings.abandoned.load(SeqCst), strings.open.load(SeqCst)), (1, 0));
    assert_eq!(ask(&pool).await, Ok(1), "its place is free");
}

/// With the clock of the breaker, which no test can stop.
#[tokio::test]
async fn a_server_that_is_down_is_left_alone_for_a_second_and_one_that_refuses_a_query_is_not_down() {
    let (pool, strings) = pool(2);
    strings.refuses.store(1, SeqCst);
    for _ in 0..3 {
        assert_eq!(ask(&pool).await, Err(Fault::Refused("no such table".into())));
    }
    assert_eq!(strings.made.load(SeqCst), 1, "the connection is fine");
    strings.refuses.store(0, SeqCst);
    assert_eq!(ask(&pool).await, Ok(0));
    strings.broken_below.store(1, SeqCst);
    strings.closed.store(1, SeqCst);
    assert_eq!(ask(&pool).await, Err(Fault::Broken("refused".into())));
    strings.closed.store(0, SeqCst);
    let Err(Fault::Broken(why)) = ask(&pool).await else { panic!("it is left alone") };
    assert!(why.contains("a moment ago"), "{why}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ask(&pool).await, Ok(1));
    assert_eq!(ask(&pool).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_question_aside_takes_nobodys_turn_and_says_nothing_against_the_server() {
    let (pool, strings) = pool(1);
    strings.takes.store(2000, SeqCst);
    let query = query();
    let aside = Ask { query: &query, values: Values::default() };
    let begun = Instant::now();
    let (asked, told) = tokio::join!(ask(&pool), pool.aside(&aside));
    assert!(asked.is_ok() && told.is_ok());
    assert_eq!(begun.elapsed(), Duration::from_secs(2), "neither has waited for the other");
    // Over one that lies idle, if there is one; and over a new one, if that has ended.
    strings.takes.store(0, SeqCst);
    assert!(pool.aside(&aside).await.is_ok());
    assert_eq!(strings.made.load(SeqCst), 2);
    strings.broken_below.store(2, SeqCst);
    assert!(pool.aside(&aside).await.is_ok());
    assert_eq!((strings.made.load(SeqCst), strings.open.load(SeqCst)), (3, 1));
    strings.silent_below.store(99, SeqCst);
    for _ in 0..5 {
        let begun = Instant::now();
        assert!(matches!(pool.aside(&aside).await, Err(Fault::Silent)));
        assert_eq!(begun.elapsed(), TIMES.whole);
    }
    assert_eq!(strings.open.load(SeqCst), 0);
    strings.silent_below.store(0, SeqCst);
    assert!(ask(&pool).await.is_ok(), "no fuse has blown");
}
