//! The server's lists of tools, asked for by the gateway itself where it has to know what a call mirrors in its head.

use std::time::Duration;

use bytes::Bytes;
use serde_json::value::to_raw_value;

use super::failure::RemoteFailure;
use super::head::ModernHead;
use super::wire::Wire;
use crate::protocol::member::string_member;
use crate::protocol::modern::meta::with_own_meta;
use crate::protocol::names::method;
use crate::protocol::{Message, RequestId, reply};
use crate::upstream::SCAN;

/// Longest time that a call waits for them.
const LISTING_TIME: Duration = Duration::from_secs(10);
/// Most pages that are read.
const PAGES_MAX: u64 = 256;

impl Wire {
    /// Learns from an answer to `tools/list`; returns it without the tools that are not to be used over HTTP, where there
    /// are such.
    pub(super) fn learn(&self, answer: &Message) -> Option<Bytes> {
        let listed = self.server.mirrors().learn(answer);
        for (tool, error) in &listed.refused {
            let tool: String = tool.chars().take(128).collect();
            self.log
                .say(format_args!("the tool {tool:?} is left out: {error}"));
        }
        listed.without
    }

    /// Reads the lists of tools, unless somebody has done so since it was done `before` times.
    ///
    /// A server that does not tell is taken to have nothing to tell: its own refusal of a call says the rest.
    pub(super) async fn read_tools(&self, before: u64) {
        let mirrors = self.server.mirrors();
        let _listing = mirrors.listing.lock().await;
        if mirrors.listings() != before {
            return;
        }
        match tokio::time::timeout(LISTING_TIME, self.read_pages(before)).await {
            Ok(Ok(())) => mirrors.set_whole(),
            Ok(Err(failure)) => self
                .log
                .say(format_args!("its tools could not be listed: {failure}")),
            Err(_) => {
                self.log.say("its tools could not be listed in time");
                mirrors.set_whole();
            }
        }
    }

    async fn read_pages(&self, before: u64) -> Result<(), RemoteFailure> {
        let mut cursor: Option<String> = None;
        for page in 0..PAGES_MAX {
            let params = cursor.map(|cursor| serde_json::json!({ "cursor": cursor }));
            let params = params.map(|params| to_raw_value(&params).expect("plain data becomes JSON"));
            let mut line = Vec::new();
            reply::write_request(
                0,
                method::TOOLS_LIST,
                Some(&with_own_meta(params.as_deref())),
                &mut line,
            );
            let request = Message::parse(line.into(), SCAN).expect("it was just written");
            let id = RequestId::String(format!("portcullis-tools-{before}-{page}").into());
            let head = ModernHead::of(&request).expect("it was written as a modern one");
            let headers = head.headers(&request, self.server.mirrors());
            let response = match self.ask(&request, &id, headers).await {
                Err(RemoteFailure::Status(_)) => return Ok(()),
                response => response?,
            };
            let answer = self.answer_in(response, &id).await?;
            self.learn(&answer);
            cursor = answer
                .result()
                .and_then(|result| string_member(&result, "nextCursor"));
            if cursor.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}
