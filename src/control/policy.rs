//! What commands ask of rules for mail.

use std::time::Instant;

use gatepost_protocol::postfix::policy::Request;
use serde::{Deserialize, Serialize};

use super::Response;
use crate::decision::{Engine, Verdict};

/// What a rule says of a mail.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its `name`; none where no rule says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What Postfix is told, as in `REJECT 5.7.1 not here`.
    pub action: String,
}

/// What would be said of a mail of these attributes, `name=value` lines. Nothing is counted.
pub(super) async fn tested(engine: &Engine, attributes: &str) -> Response {
    let request = match Request::parse(attributes.as_bytes()) {
        Ok(request) => request,
        Err(malformed) => {
            return Response { reason: Some(malformed.to_string()), ..Response::of(Response::MALFORMED) };
        }
    };
    let Verdict { action, rule, trials, unavailable, .. } =
        engine.police(&request, true, Instant::now()).await;
    let outcome = match &unavailable {
        Some(_) if action.refuses() => Response::UNAVAILABLE,
        _ if action.refuses() => Response::REFUSED,
        _ => Response::NOT_REFUSED,
    };
    let trials = trials.into_iter();
    Response {
        policy: Some(Said { rule: rule.map(|rule| rule.to_string()), action: action.to_string() }),
        trials: trials
            .map(|(rule, action)| Said { rule: Some(rule.to_string()), action: action.to_string() })
            .collect(),
        reason: unavailable.map(|why| why.to_string()),
        ..Response::of(outcome)
    }
}

/// Forgets what somebody has sent. How many limits had counted it is in `flushed`.
pub(super) fn reset(engine: &Engine, whom: &str) -> Response {
    let forgotten = engine.forget_sent(whom);
    let outcome = if forgotten == 0 { Response::NOT_FOUND } else { Response::DONE };
    Response { flushed: Some(forgotten), ..Response::of(outcome) }
}
