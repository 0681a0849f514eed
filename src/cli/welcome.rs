//! What a start says to whoever has to use it now: where it listens, a request to try, and a configuration for an MCP
//! client to paste.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::{Map, Value, json};

use crate::app::App;

/// Most servers in the configuration to paste; beyond it the list would push away what was said before.
const SERVERS_MAX: usize = 8;

/// Returns what to say about a gateway that has just started.
pub(super) fn welcome(app: &App) -> String {
    let Some(address) = app.address() else {
        return String::new();
    };
    let servers = app.gateway().registry().servers();
    let mut text = format!("listening on http://{address}\n");
    for server in &servers {
        text += &format!(
            "  {}: http://{address}/mcp/{}\n",
            server.name(),
            server.spec().path
        );
    }
    for route in app.gateway().config().routes.keys() {
        text += &format!("  {route}: http://{address}/mcp/{route} (a route)\n");
    }
    if let Some(path) = &app.gateway().config().http.unix_socket {
        text += &format!("  the same on the Unix socket {}\n", path.display());
    }
    if let Some(admin) = app.admin_address() {
        let token_file = app.token_file().display();
        text += &format!("  admin API: http://{admin}/admin/v1 (token in {token_file})\n");
    }
    let enabled = servers.iter().filter(|server| server.is_enabled());
    let enabled: Vec<(String, String)> = enabled
        .map(|server| (server.name().to_string(), server.spec().path.clone()))
        .collect();
    let token_wanted = !app.gateway().config().anonymous.enabled;
    text + &invitation(reachable(address), &enabled, token_wanted)
}

/// An address that listens everywhere is reached on this machine by its loopback address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Returns what to paste; nothing if there is no server to use.
fn invitation(address: SocketAddr, servers: &[(String, String)], token_wanted: bool) -> String {
    let Some((first, path)) = servers.first() else {
        return String::new();
    };
    let header = if token_wanted {
        " -H 'authorization: Bearer TOKEN'"
    } else {
        ""
    };
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let entries: Map<String, Value> = servers
        .iter()
        .take(SERVERS_MAX)
        .map(|(name, path)| {
            let mut entry = json!({"type": "http", "url": format!("http://{address}/mcp/{path}")});
            if token_wanted {
                entry["headers"] = json!({"Authorization": "Bearer TOKEN"});
            }
            (name.clone(), entry)
        })
        .collect();
    let configuration = json!({"mcpServers": entries});
    format!(
        "\ntry {first}:\n  \
         curl -sS http://{address}/mcp/{path} -H 'content-type: application/json'{header} -d '{request}'\n\
         for the configuration of an MCP client:\n  {configuration}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, servers: &[(&str, &str)], token_wanted: bool, expect: &str) {
        let servers: Vec<_> = servers
            .iter()
            .map(|(name, path)| ((*name).to_owned(), (*path).to_owned()))
            .collect();
        let address = reachable(address.parse().expect("tests write valid addresses"));
        assert_eq!(invitation(address, &servers, token_wanted), expect);
    }

    #[test]
    fn one_server() {
        check(
            "127.0.0.1:4100",
            &[("time", "clock")],
            false,
            "\ntry time:\n  curl -sS http://127.0.0.1:4100/mcp/clock -H 'content-type: application/json' \
             -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}'\n\
             for the configuration of an MCP client:\n  \
             {\"mcpServers\":{\"time\":{\"type\":\"http\",\"url\":\"http://127.0.0.1:4100/mcp/clock\"}}}\n",
        );
    }

    #[test]
    fn everywhere_and_with_tokens() {
        check(
            "[::]:80",
            &[("a", "a")],
            true,
            "\ntry a:\n  curl -sS http://[::1]:80/mcp/a -H 'content-type: application/json' \
             -H 'authorization: Bearer TOKEN' -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}'\n\
             for the configuration of an MCP client:\n  \
             {\"mcpServers\":{\"a\":{\"type\":\"http\",\"url\":\"http://[::1]:80/mcp/a\",\
             \"headers\":{\"Authorization\":\"Bearer TOKEN\"}}}}\n",
        );
    }

    #[test]
    fn nothing_to_offer_and_too_much_to_list() {
        check("127.0.0.1:1", &[], false, "");
        let names: Vec<String> = (0..=SERVERS_MAX).map(|number| format!("s{number}")).collect();
        let servers: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
        let said = invitation(
            reachable("0.0.0.0:1".parse().expect("an address")),
            &servers,
            false,
        );
        assert!(said.contains("127.0.0.1:1/mcp/s7"), "{said}");
        assert!(!said.contains("mcp/s8"), "{said}");
    }
}
