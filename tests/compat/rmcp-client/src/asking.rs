//! The checks of a server without the handshake, which asks in its answers.

use rmcp::model::{GetPromptRequestParams, ReadResourceRequestParams};
use serde_json::{Value, json};

use crate::probe::{Outcome, Probe, expect, shown, text};

const WATCHED: &str = "test://watched-resource";

pub async fn mock(probe: &mut Probe) {
    probe.check_tools(&["echo", "test_sampling"], &[]).await;
    probe.check("resources", resources).await;
    probe.check("prompts", prompts).await;
    probe.check("echo", echo).await;
    probe.check("contents", contents).await;
    probe.check("failure", failure).await;
    probe.check("progress", progress).await;
    probe.check("sampling", sampling).await;
    probe.check("elicitation", elicitation).await;
    probe.check("resource-read", resource_read).await;
    probe.unrecorded("subscription", subscription).await;
    probe.check("prompt", prompt).await;
    probe.check_unknown_tool().await;
}

async fn resources(probe: &Probe) -> Outcome {
    let listed = probe.peer().list_all_resources().await.map_err(shown)?;
    let uris: Vec<_> = listed.iter().map(|resource| resource.uri.as_str()).collect();
    expect(uris.contains(&WATCHED), uris.join(" "))
}

async fn prompts(probe: &Probe) -> Outcome {
    let listed = probe.peer().list_all_prompts().await.map_err(shown)?;
    let names: Vec<_> = listed.iter().map(|prompt| prompt.name.as_str()).collect();
    expect(names.contains(&"test_prompt_with_arguments"), names.join(" "))
}

async fn echo(probe: &Probe) -> Outcome {
    let sent = json!({"message": "grüß dich 🦀 \u{2028}", "deep": [{"n": 1.5}]});
    let answer = probe.call_text("echo", sent.clone()).await?;
    let came: Value = serde_json::from_str(&answer).map_err(shown)?;
    expect(came == sent, answer)
}

async fn contents(probe: &Probe) -> Outcome {
    let result = probe.call("test_multiple_content_types", json!({})).await?;
    let content = serde_json::to_value(&result.content).expect("the SDK's models have string keys only");
    let types: Vec<_> = (0..3)
        .map(|index| content[index]["type"].as_str().unwrap_or("none"))
        .collect();
    expect(types == ["text", "image", "resource"], types.join(" "))
}

async fn failure(probe: &Probe) -> Outcome {
    let result = probe.call("test_error_handling", json!({})).await?;
    expect(result.is_error == Some(true), text(&result))
}

async fn progress(probe: &Probe) -> Outcome {
    probe.call("test_tool_with_progress", json!({})).await?;
    // The SDK hands notifications and results to different tasks; the last one may still be on its way.
    probe
        .inbox
        .wait("notifications/progress", |params| params["progress"] == 100.0)
        .await;
    let seen = probe.inbox.all("notifications/progress");
    let mut done: Vec<_> = seen
        .iter()
        .filter_map(|params| params["progress"].as_f64())
        .collect();
    done.sort_by(f64::total_cmp);
    expect(done == [0.0, 50.0, 100.0], format!("{done:?}"))
}

async fn sampling(probe: &Probe) -> Outcome {
    let answer = probe
        .call_text("test_sampling", json!({"prompt": "say it"}))
        .await?;
    expect(answer == "LLM response: sampled say it", answer)
}

async fn elicitation(probe: &Probe) -> Outcome {
    let answer = probe
        .call_text("test_elicitation", json!({"message": "who?"}))
        .await?;
    expect(answer.contains("action=accept"), answer)?;
    let asked = probe.inbox.all("elicitation/create");
    expect(
        asked.len() == 1 && asked[0]["message"] == "who?",
        format!("{asked:?}"),
    )
}

async fn resource_read(probe: &Probe) -> Outcome {
    let params = ReadResourceRequestParams::new("test://static-text");
    let result = probe.service().read_resource(params).await.map_err(shown)?;
    let contents = serde_json::to_value(&result.contents).expect("the SDK's models have string keys only");
    expect(contents[0]["uri"] == "test://static-text", contents)
}

async fn subscription(probe: &Probe) -> Outcome {
    let touch = async || probe.call("touch", json!({"uri": WATCHED})).await.map(drop);
    probe.told_of_update(WATCHED, touch).await
}

async fn prompt(probe: &Probe) -> Outcome {
    let mut params = GetPromptRequestParams::new("test_prompt_with_arguments");
    params.arguments = json!({"arg1": "one", "arg2": "two"}).as_object().cloned();
    let result = probe.service().get_prompt(params).await.map_err(shown)?;
    let messages = serde_json::to_value(&result.messages).expect("the SDK's models have string keys only");
    expect(
        messages[0]["content"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("one")),
        messages,
    )
}
