use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use gatepost::{
    config::{Config, Surroundings},
    daemon,
    decision::{Decision, Engine, Refusal, TempFail},
    mechanism::Mechanism,
    oidc::Challenge,
    session::{
        Close,
        auth::{Question, Role, Session},
        shared::{Offer, Shared},
        token::TokenKey,
    },
};

use super::transcript::{Bindings, Line, Transcript, What, socket};

/// Plays transcripts with tokens to the state machine in this process. The provider is made up: it takes no token, and
/// cannot be asked about those that begin with `away`.
#[derive(Debug)]
pub struct Rehearsed {
    engine: Engine,
    shared: Arc<Shared>,
}

struct Connection<'a> {
    around: &'a Rehearsed,
    session: Session,
    said: BytesMut,
    over: Option<Close>,
}

impl Rehearsed {
    pub fn new() -> Self {
        let text = "[server]\nstate_dir = \"/nowhere\"\nruntime_dir = \"/nowhere\"\n\
             [[directory]]\nname = \"one\"\ntype = \"static\"\nusers = [\"alice@example.org\"]\npassword = \"{PLAIN}x\"\n";
        let config = Config::from_texts(&[(Path::new("rehearsed"), text)], &Surroundings::none()).unwrap();
        let shared = Shared::new(TokenKey::ephemeral().unwrap(), Instant::now()).unwrap();
        Self { engine: daemon::engine(&config).unwrap(), shared: Arc::new(shared) }
    }

    /// The first difference, with the line of the transcript.
    pub fn run(&self, transcript: &Transcript) -> Result<(), String> {
        let mut connections = BTreeMap::new();
        let mut bindings = Bindings::of_this_process();
        for step in &transcript.steps {
            let connection =
                connections.entry(&*step.connection).or_insert_with(|| self.accept(socket(&step.connection)));
            let played = match &step.what {
                What::Say { line, .. } => line.filled(&bindings).map(|line| connection.say(&line)),
                What::Hear { line, .. } => connection.hear(line, &mut bindings),
                What::Dovecot(_) | What::Recorded(_) => Ok(()),
                What::Close => connection.heard_all(),
                What::Closed if connection.over.is_none() => Err("the server does not close".to_owned()),
                What::Closed => connection.heard_all(),
                What::HearSometime(_) | What::DovecotSometime(_) => Err("here all has its order".to_owned()),
            };
            let at = |why| format!("tests/transcripts/{}:{}: {why}", transcript.name, step.number);
            played.map_err(at)?;
        }
        let left = connections.values().find_map(|connection| connection.heard_all().err());
        left.map_or(Ok(()), |why| Err(format!("tests/transcripts/{}: at the end: {why}", transcript.name)))
    }

    fn accept(&self, socket: &str) -> Connection<'_> {
        let role = if socket == "login" { Role::Login } else { Role::Client };
        let mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::OAuthBearer, Mechanism::XOAuth2];
        let offer =
            Offer { mechanisms: mechanisms.into(), failure_delay: Duration::ZERO, anonymous_user: None };
        let cookie = self.shared.new_cookie();
        let session = Session::new(role, Arc::clone(&self.shared), offer.into(), cookie);
        let mut said = BytesMut::new();
        session.greet(&mut said);
        Connection { around: self, session, said, over: None }
    }
}

impl Connection<'_> {
    fn say(&mut self, line: &[u8]) {
        let (engine, now) = (&self.around.engine, Instant::now());
        let question = self.session.line(line, now, engine, &mut self.said);
        let answered = question.and_then(|question| match question {
            Some(Question::Judge { handle, attempt }) => {
                let token = attempt.claim.credential.token().map(|token| token.expose().starts_with(b"away"));
                let decision = Decision::Refuse(match token {
                    Some(true) => Refusal::TempFail(TempFail::Deadline),
                    Some(false) => Refusal::TokenOfAnother,
                    None => panic!("no token in {attempt:?}"),
                });
                self.session.decided(handle, attempt, decision, provider, now, &mut self.said)
            }
            Some(other) => panic!("{other:?}"),
            None => Ok(()),
        });
        self.over = self.over.or(answered.err());
    }

    fn hear(&mut self, line: &Line, bindings: &mut Bindings) -> Result<(), String> {
        let Some(end) = self.said.iter().position(|&byte| byte == b'\n') else {
            return Err(format!("expected {line}, but nothing more was said"));
        };
        let heard = self.said.split_to(end + 1);
        let fits = line.fits(&heard[..end], bindings);
        if fits { Ok(()) } else { Err(format!("expected {line}, heard {}", heard.escape_ascii())) }
    }

    fn heard_all(&self) -> Result<(), String> {
        if self.said.is_empty() { Ok(()) } else { Err(format!("more came: {}", self.said.escape_ascii())) }
    }
}

/// What is told of the provider, whoever asks.
fn provider(_name: &[u8]) -> Option<Challenge> {
    Some(Challenge {
        configuration: "https://id.example.org/.well-known/openid-configuration".into(),
        scope: "openid email".into(),
    })
}
