//! `gatepost cache`: what the running daemon remembers.

use clap::Subcommand;
use serde_json::json;

use super::{Answer, Common, Exit, ask};
use crate::{
    cache::{Counts, Status},
    control::{Asked, Request, Response},
};

/// What can be done with the memory of the running daemon.
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// Forget what is remembered of users, so that the directories are asked about them again
    Flush {
        /// Names, masks with * and ?, or @domain; everybody, if there are none
        users: Vec<String>,
    },
    /// Say how much is remembered, and how often that was of use
    Status,
}

impl Cache {
    pub(super) fn run(self, common: &Common) -> Answer {
        let config = match common.configuration() {
            Ok(config) => config,
            Err(no) => return no,
        };
        let request = match self {
            Self::Flush { users } => Request::CacheFlush { users },
            Self::Status => Request::CacheStatus,
        };
        match ask::running(&config, &request) {
            Ok(response) => say(&response),
            Err(failure) => Answer::failure(&failure),
        }
    }
}

fn say(response: &Response) -> Answer {
    let mut text = match (&response.cache, response.flushed) {
        (Some(status), _) => status_text(status),
        (None, Some(flushed)) => format!("forgotten: {flushed}"),
        (None, None) => "nothing is kept: cache.ttl is 0s".to_owned(),
    };
    for Asked { provider, discoveries, key_sets, introspections, passwords } in &response.providers {
        let lines = [
            format!("\nprovider {provider}"),
            format!("  introspections  {introspections}"),
            format!("  passwords       {passwords}"),
            format!("  discoveries     {discoveries}"),
            format!("  key sets        {key_sets}"),
        ];
        text.push_str(&lines.join("\n"));
    }
    Answer { exit: Exit::Yes, text, json: json!(response) }
}

fn status_text(status: &Status) -> String {
    let Status { entries, bytes, max_memory, counts, tokens, maps } = status;
    let mib = |bytes: &usize| format!("{}.{} MiB", bytes >> 20, ((bytes >> 10) & 1023) * 10 / 1024);
    let mut lines = vec![
        format!("entries        {entries}"),
        format!("memory         {} of {}", mib(bytes), mib(max_memory)),
        format!("hits           {}", counts.hits),
        format!("negative hits  {}", counts.negative_hits),
        format!("lookups        {}", counts.lookups),
        format!("misses         {}", counts.misses),
        format!("stale          {}", counts.stale),
        format!("refreshes      {}", counts.refreshes),
        format!("evicted        {}", counts.evicted),
    ];
    for (name, others) in [("tokens", tokens), ("maps", maps)] {
        if others.entries > 0 || others.counts != Counts::default() {
            let counts = &others.counts;
            lines.extend([
                name.to_owned(),
                format!("  entries        {}", others.entries),
                format!("  memory         {}", mib(&others.bytes)),
                format!("  hits           {}", counts.hits),
                format!("  negative hits  {}", counts.negative_hits),
                format!("  misses         {}", counts.misses),
                format!("  stale          {}", counts.stale),
                format!("  refreshes      {}", counts.refreshes),
                format!("  evicted        {}", counts.evicted),
            ]);
        }
    }
    lines.join("\n")
}
