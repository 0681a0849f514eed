// {{name}}: one sentence about what it decides.
//
// plugin.h is made of wit/ by `portcullis plugin build`. A hook owns its arguments and frees them; what it returns is freed
// for it, so strings in there are copies (plugin_string_dup). There is no JSON reader here: what this plugin looks for
// stands in the code.

#include <stdlib.h>
#include <string.h>

#include "plugin.h"

%if kv
// A counter that all instances share: portcullis_plugin_kv_increment(&key, 1, &ttl_ms, &count, &error).
%end
%if http
// A request to a granted host: portcullis_plugin_http_send(&request, &response, &error).
%end
%if random
// Random numbers: portcullis_plugin_random_get_u64().
%end
%if schema
// The arguments against the tool's own schema: portcullis_plugin_schema_validate_arguments(&problems).
%end
void exports_portcullis_plugin_lifecycle_describe(exports_portcullis_plugin_lifecycle_info_t *info) {
    plugin_string_dup(&info->name, "{{name}}");
    plugin_string_dup(&info->version, "0.1.0");
}

bool exports_portcullis_plugin_lifecycle_init(plugin_string_t *config, plugin_string_t *error) {
    (void)error; // set it, and return false, where the configuration cannot be used
    plugin_string_free(config);
    return true;
}
%if on-message|access

// The client reads the message, and only the log the reason.
static void deny(portcullis_plugin_types_denial_t *denial, const char *message, const char *reason) {
    denial->code = -32001;
    plugin_string_dup(&denial->message, message);
    plugin_string_dup(&denial->reason, reason);
    denial->data.is_some = false;
}
%end
%if on-message

static bool contains(const plugin_string_t *text, const char *part) {
    size_t length = strlen(part);
    for (size_t at = 0; at + length <= text->len; at++) {
        if (memcmp(text->ptr + at, part, length) == 0) return true;
    }
    return false;
}

void exports_portcullis_plugin_on_message_on_message(portcullis_plugin_types_call_context_t *ctx,
                                                     portcullis_plugin_types_verdict_t *verdict) {
    plugin_string_t pointer;
    plugin_string_set(&pointer, "/params/arguments/path");
    portcullis_plugin_message_value_t path;
    memset(verdict, 0, sizeof *verdict); // passes, without notes
    if (portcullis_plugin_message_get(&pointer, &path)) {
        if (path.tag == PORTCULLIS_PLUGIN_MESSAGE_VALUE_TEXT && contains(&path.val.text, "../")) {
            verdict->decision.tag = PORTCULLIS_PLUGIN_TYPES_DECISION_DENY;
            deny(&verdict->decision.val.deny, "this path is not allowed", "it contains ../");
        }
        portcullis_plugin_message_value_free(&path);
    }
    portcullis_plugin_types_call_context_free(ctx);
}
%end
%if access

static bool is_hidden(const portcullis_plugin_types_catalog_item_t *item) {
    static const char hidden[] = "secret";
    return item->name.len == strlen(hidden) && memcmp(item->name.ptr, hidden, item->name.len) == 0;
}

bool exports_portcullis_plugin_access_authorize(portcullis_plugin_types_call_context_t *ctx,
                                                portcullis_plugin_types_catalog_item_t *item,
                                                portcullis_plugin_types_denial_t *denial) {
    bool allowed = item == NULL || !is_hidden(item);
    if (!allowed) deny(denial, "there is no such thing", "it is hidden");
    if (item != NULL) portcullis_plugin_types_catalog_item_free(item);
    portcullis_plugin_types_call_context_free(ctx);
    return allowed;
}

void exports_portcullis_plugin_access_filter(portcullis_plugin_types_call_context_t *ctx,
                                             exports_portcullis_plugin_access_list_catalog_item_t *items,
                                             plugin_list_u32_t *visible) {
    visible->ptr = calloc(items->len, sizeof *visible->ptr);
    visible->len = 0;
    for (size_t index = 0; index < items->len; index++) {
        if (!is_hidden(&items->ptr[index])) visible->ptr[visible->len++] = index;
    }
    if (visible->len == 0) free(visible->ptr); // an empty list is not freed for us
    exports_portcullis_plugin_access_list_catalog_item_free(items);
    portcullis_plugin_types_call_context_free(ctx);
}
%end
%if routing

// Whether the second goes before the first: who is not healthy last, then whoever has the least to do.
static bool goes_before(const portcullis_plugin_types_candidate_t *first,
                        const portcullis_plugin_types_candidate_t *second) {
    if (first->healthy != second->healthy) return second->healthy;
    return second->in_flight < first->in_flight;
}

void exports_portcullis_plugin_routing_choose(portcullis_plugin_types_call_context_t *ctx,
                                              exports_portcullis_plugin_routing_list_candidate_t *candidates,
                                              portcullis_plugin_types_route_t *route) {
    uint32_t *order = calloc(candidates->len, sizeof *order);
    for (uint32_t index = 0; index < candidates->len; index++) {
        uint32_t place = index;
        while (place > 0 && goes_before(&candidates->ptr[order[place - 1]], &candidates->ptr[index])) {
            order[place] = order[place - 1];
            place--;
        }
        order[place] = index;
    }
    route->tag = PORTCULLIS_PLUGIN_TYPES_ROUTE_TO;
    route->val.to.ptr = order;
    route->val.to.len = candidates->len;
    exports_portcullis_plugin_routing_list_candidate_free(candidates);
    portcullis_plugin_types_call_context_free(ctx);
}
%end
