# The MCP server that deadlocks careless gateways: it reads nothing while it writes. One tool, `echo`, which
# gives its `text` back; anything else but the handshake is an error. It reads compact JSON alone, without
# escapes in the text.
while IFS= read -r line; do
    case $line in *'"id":'*) ;; *) continue ;; esac
    id=${line#*'"id":'}
    id=${id%%[,\}]*}
    case $line in
    *'"method":"tools/call"'*)
        text=${line#*'"text":"'}
        text=${text%%\"*}
        result='{"content":[{"type":"text","text":"'$text'"}]}' ;;
    *'"method":"initialize"'*)
        result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"one-at-a-time","version":"1.0.0"}}' ;;
    *'"method":"tools/list"'*)
        result='{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}' ;;
    *'"method":"ping"'*)
        result='{}' ;;
    *)
        printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}\n' "$id"
        continue ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
