//! The checks of the reference server that uses every feature of the protocol.

use std::collections::HashMap;

use rmcp::model::{
    CallToolRequest, ClientRequest, CompletionContext, GetPromptRequestParams, LoggingLevel,
    ReadResourceRequestParams, SetLevelRequestParams,
};
use rmcp::service::PeerRequestOptions;
use serde_json::json;

use crate::handler::ROOTS;
use crate::probe::{Outcome, Probe, expect, request, shown, text};

/// Below 1 MiB, because another SDK refuses larger server-sent events.
const LARGE_BYTES: usize = 983_040;
const LONG: &str = "trigger-long-running-operation";

/// Every check, for a client that declares every capability.
pub async fn full(probe: &mut Probe) {
    let asking = [
        "trigger-sampling-request",
        "trigger-elicitation-request",
        "get-roots-list",
    ];
    probe
        .check_tools(&[&["echo", "get-sum"], &asking[..]].concat(), &[])
        .await;
    probe.check("resources", resources).await;
    probe.check("templates", templates).await;
    probe.check("prompts", prompts).await;
    if !probe.is_modern {
        probe.unrecorded("ping", ping).await;
    }
    probe
        .check("echo", async |probe| echo(probe, "grüß dich 🦀 \u{2028}").await)
        .await;
    probe.check("sum", sum).await;
    probe.check("structured", structured).await;
    probe
        .check("large", async |probe| {
            echo(probe, &"0123456789abcdef".repeat(LARGE_BYTES / 16)).await
        })
        .await;
    probe.check_unknown_tool().await;
    probe.check("progress", progress).await;
    probe.unrecorded("concurrency", concurrency).await;
    probe.check("sampling", sampling).await;
    probe.check("elicitation", elicitation).await;
    probe.check("roots", roots).await;
    if !probe.is_modern {
        probe.unrecorded("logging", logging).await;
    }
    probe.check("resource-read", resource_read).await;
    if !probe.is_modern {
        probe.unrecorded("subscription", subscription).await;
    }
    probe.check("prompt", prompt).await;
    probe.check("completion", completion).await;
    probe.unrecorded("cancellation", cancellation).await;
}

/// For a client that declares nothing, so that the gateway may let it share the process with others.
pub async fn plain(probe: &mut Probe) {
    probe.check_tools(&["echo"], &["trigger-sampling-request"]).await;
    probe.check("progress", progress).await;
    probe.unrecorded("concurrency", concurrency).await;
    probe.unrecorded("subscription", subscription).await;
}

async fn resources(probe: &Probe) -> Outcome {
    let listed = probe.peer().list_all_resources().await.map_err(shown)?;
    let uris: Vec<_> = listed.iter().map(|resource| resource.uri.as_str()).collect();
    expect(
        uris.len() >= 5 && uris.iter().all(|uri| uri.starts_with("demo://")),
        uris.join(" "),
    )
}

async fn templates(probe: &Probe) -> Outcome {
    let listed = probe.peer().list_all_resource_templates().await.map_err(shown)?;
    let names: Vec<_> = listed.iter().map(|template| template.name.as_str()).collect();
    expect(names.contains(&"Dynamic Text Resource"), names.join(" "))
}

async fn prompts(probe: &Probe) -> Outcome {
    let listed = probe.peer().list_all_prompts().await.map_err(shown)?;
    let names: Vec<_> = listed.iter().map(|prompt| prompt.name.as_str()).collect();
    let expected = ["simple-prompt", "args-prompt", "completable-prompt"];
    expect(expected.iter().all(|name| names.contains(name)), names.join(" "))
}

async fn ping(probe: &Probe) -> Outcome {
    let ping = ClientRequest::PingRequest(Default::default());
    probe.peer().send_request(ping).await.map(drop).map_err(shown)
}

async fn echo(probe: &Probe, message: &str) -> Outcome {
    let answer = probe.call_text("echo", json!({"message": message})).await?;
    expect(
        answer == format!("Echo: {message}"),
        format!("{} bytes, {:.100}", answer.len(), answer),
    )
}

async fn sum(probe: &Probe) -> Outcome {
    let answer = probe.call_text("get-sum", json!({"a": 2, "b": 40.5})).await?;
    expect(answer == "The sum of 2 and 40.5 is 42.5.", answer)
}

async fn structured(probe: &Probe) -> Outcome {
    let result = probe
        .call("get-structured-content", json!({"location": "Chicago"}))
        .await?;
    let content = result.structured_content.unwrap_or_default();
    expect(content["temperature"] == 36, content)
}

fn progress_seen(probe: &Probe) -> Vec<String> {
    let messages = probe.inbox.all("notifications/progress");
    messages
        .iter()
        .map(|params| format!("{}/{}", params["progress"], params["total"]))
        .collect()
}

async fn progress(probe: &Probe) -> Outcome {
    let answer = probe
        .call_text(LONG, json!({"duration": 0.6, "steps": 3}))
        .await?;
    expect(answer.contains("Long running operation completed"), answer)?;
    // The SDK hands notifications and results to different tasks; the last one may still be on its way.
    probe
        .inbox
        .wait("notifications/progress", |params| params["progress"] == 3.0)
        .await;
    let mut seen = progress_seen(probe);
    seen.sort();
    expect(seen == ["1.0/3.0", "2.0/3.0", "3.0/3.0"], seen.join(" "))
}

async fn concurrency(probe: &Probe) -> Outcome {
    let calls: Vec<_> = (0..32)
        .map(|index| {
            let peer = probe.peer().clone();
            let word = format!("word {index}");
            let request = request("echo", json!({"message": word}));
            (word, tokio::spawn(async move { peer.call_tool(request).await }))
        })
        .collect();
    for (word, call) in calls {
        let result = call.await.expect("no call panics").map_err(shown)?;
        expect(
            text(&result) == format!("Echo: {word}"),
            format!("{} for {word}", text(&result)),
        )?;
    }
    Ok(())
}

async fn sampling(probe: &Probe) -> Outcome {
    let answer = probe
        .call_text("trigger-sampling-request", json!({"prompt": "say it"}))
        .await?;
    let expected = "sampled Resource trigger-sampling-request context: say it";
    expect(
        answer.contains(expected) && answer.contains("compat-model"),
        answer,
    )
}

async fn elicitation(probe: &Probe) -> Outcome {
    let answer = probe.call_text("trigger-elicitation-request", json!({})).await?;
    expect(
        answer.contains("- Name: Ada") && answer.contains("- Favorite Integer: 7"),
        answer,
    )?;
    let asked = probe.inbox.all("elicitation/create");
    expect(asked.len() == 1, format!("{} requests", asked.len()))
}

async fn roots(probe: &Probe) -> Outcome {
    let answer = probe.call_text("get-roots-list", json!({})).await?;
    expect(ROOTS.iter().all(|uri| answer.contains(uri)), answer)
}

/// Flips one of the server's switches and checks that it moved to `state`.
async fn switch(probe: &Probe, name: &'static str, state: &str) -> Outcome {
    let answer = probe.call_text(name, json!({})).await?;
    expect(answer.starts_with(state), answer)
}

async fn logging(probe: &Probe) -> Outcome {
    probe
        .peer()
        .set_level(SetLevelRequestParams::new(LoggingLevel::Debug))
        .await
        .map_err(shown)?;
    switch(probe, "toggle-simulated-logging", "Started").await?;
    let is_simulated =
        |params: &serde_json::Value| params["data"].as_str().is_some_and(|data| data.contains("level"));
    probe.inbox.wait("notifications/message", is_simulated).await;
    switch(probe, "toggle-simulated-logging", "Stopped").await
}

async fn resource_read(probe: &Probe) -> Outcome {
    let uri = "demo://resource/static/document/features.md";
    let result = probe
        .service()
        .read_resource(ReadResourceRequestParams::new(uri))
        .await
        .map_err(shown)?;
    let content = serde_json::to_value(&result.contents).expect("the SDK's models have string keys only");
    let long_enough = content[0]["text"].as_str().is_some_and(|text| text.len() > 500);
    expect(
        content[0]["uri"] == uri && content[0]["mimeType"] == "text/markdown" && long_enough,
        content,
    )
}

async fn subscription(probe: &Probe) -> Outcome {
    let uri = "demo://resource/dynamic/text/7";
    let start = async || switch(probe, "toggle-subscriber-updates", "Started").await;
    probe.told_of_update(uri, start).await?;
    switch(probe, "toggle-subscriber-updates", "Stopped").await
}

async fn prompt(probe: &Probe) -> Outcome {
    let mut params = GetPromptRequestParams::new("args-prompt");
    params.arguments = json!({"city": "Oslo", "state": "Norway"}).as_object().cloned();
    let result = probe.service().get_prompt(params).await.map_err(shown)?;
    let messages = serde_json::to_value(&result.messages).expect("the SDK's models have string keys only");
    expect(
        messages[0]["content"]["text"] == "What's weather in Oslo, Norway?",
        messages,
    )
}

async fn completion(probe: &Probe) -> Outcome {
    let known = HashMap::from([("department".to_owned(), "Sales".to_owned())]);
    let context = Some(CompletionContext::with_arguments(known));
    let asked = probe
        .peer()
        .complete_prompt_argument("completable-prompt", "name", "E", context);
    let values = asked.await.map_err(shown)?.values;
    expect(values == ["Eve"], values.join(" "))
}

async fn cancellation(probe: &Probe) -> Outcome {
    let before = progress_seen(probe).len();
    let call = CallToolRequest::new(request(LONG, json!({"duration": 30, "steps": 300})));
    let options = PeerRequestOptions::no_options();
    let call = ClientRequest::CallToolRequest(call);
    let handle = probe
        .peer()
        .send_cancellable_request(call, options)
        .await
        .map_err(shown)?;
    probe
        .inbox
        .wait("notifications/progress", |_| progress_seen(probe).len() > before)
        .await;
    handle.cancel(Some("enough".to_owned())).await.map_err(shown)?;
    echo(probe, "still here").await
}
