//! The checks of the servers that only offer tools.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::probe::{Probe, expect, text};

pub async fn filesystem(probe: &mut Probe, directory: &str) {
    let path = format!("{directory}/compat.txt");
    let content = format!("written by {}\n", probe.nonce);
    probe
        .check_tools(&["read_text_file", "write_file", "list_directory"], &[])
        .await;
    probe
        .check("write", async |probe| {
            probe
                .call("write_file", json!({"path": path, "content": content}))
                .await?;
            let written = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            expect(written == content, written)
        })
        .await;
    probe
        .check("read", async |probe| {
            let answer = probe.call_text("read_text_file", json!({"path": path})).await?;
            expect(answer == content, answer)
        })
        .await;
    probe
        .check("list", async |probe| {
            let answer = probe
                .call_text("list_directory", json!({"path": directory}))
                .await?;
            expect(answer.contains("[FILE] compat.txt"), answer)
        })
        .await;
    probe
        .check("refusal", async |probe| {
            let result = probe
                .call("read_text_file", json!({"path": "/etc/hostname"}))
                .await?;
            expect(
                result.is_error == Some(true) && text(&result).contains("Access denied"),
                text(&result),
            )
        })
        .await;
    probe.check_unknown_tool().await;
}

/// The entities of that name, as the server has them.
async fn entities(probe: &Probe, name: &str) -> Result<Value, String> {
    let answer = probe.call_text("open_nodes", json!({"names": [name]})).await?;
    let graph: Value = serde_json::from_str(&answer).map_err(|error| format!("{error} in {answer}"))?;
    Ok(graph["entities"].clone())
}

pub async fn memory(probe: &mut Probe) {
    let name = format!("entity-{}", probe.nonce);
    let observations = json!(["first", "zweite ü"]);
    probe
        .check_tools(&["create_entities", "open_nodes", "delete_entities"], &[])
        .await;
    probe
        .check("create", async |probe| {
            let entity = json!({"name": name, "entityType": "probe", "observations": observations});
            let answer = probe
                .call_text("create_entities", json!({"entities": [entity]}))
                .await?;
            expect(answer.contains(&name), answer)
        })
        .await;
    probe
        .check("read", async |probe| {
            let found = entities(probe, &name).await?;
            expect(found[0]["observations"] == observations, found)
        })
        .await;
    probe
        .check("delete", async |probe| {
            probe
                .call("delete_entities", json!({"entityNames": [name]}))
                .await?;
            let found = entities(probe, &name).await?;
            expect(found == json!([]), found)
        })
        .await;
    probe.check_unknown_tool().await;
}

pub async fn time(probe: &mut Probe) {
    probe
        .check_tools(&["get_current_time", "convert_time"], &[])
        .await;
    probe
        .unrecorded("now", async |probe| {
            let answer = probe
                .call_text("get_current_time", json!({"timezone": "UTC"}))
                .await?;
            let told: Value =
                serde_json::from_str(&answer).map_err(|error| format!("{error} in {answer}"))?;
            // Without a date library: the day of the answer is the day of our own clock, give or take midnight.
            let days = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("the clock is past 1970")
                .as_secs()
                / 86_400;
            let near = [days - 1, days, days + 1].map(date);
            let datetime = told["datetime"].as_str().unwrap_or_default();
            expect(near.iter().any(|day| datetime.starts_with(day)), &answer)
        })
        .await;
    probe
        .check("convert", async |probe| {
            let arguments =
                json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
            let answer = probe.call_text("convert_time", arguments).await?;
            expect(answer.contains("T21:00:00+09:00"), answer)
        })
        .await;
    probe
        .check("bad-zone", async |probe| {
            match probe
                .call("get_current_time", json!({"timezone": "Nowhere/Land"}))
                .await
            {
                Ok(result) => expect(
                    result.is_error == Some(true) && text(&result).contains("Nowhere/Land"),
                    text(&result),
                ),
                Err(error) => expect(error.contains("Nowhere/Land"), error),
            }
        })
        .await;
    probe.check_unknown_tool().await;
}

/// The civil date, `YYYY-MM-DD`, of a day counted from 1970-01-01.
fn date(days: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut rest) = (1970, days);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", rest + 1)
}
