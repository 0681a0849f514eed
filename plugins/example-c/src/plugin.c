// A limit to how often tools are called: so many calls in a minute for each principal, for each session of anonymous
// clients, and for all others together.
//
// plugin.h is made of wit/ by `portcullis plugin build`. A hook owns its arguments and frees them; what it returns is freed
// for it, so strings in there are copies (plugin_string_dup).

#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static int64_t calls_max = 60;
static uint64_t minute_ms = 60 * 1000;

void exports_portcullis_plugin_lifecycle_describe(exports_portcullis_plugin_lifecycle_info_t *info) {
    plugin_string_dup(&info->name, "example-c");
    plugin_string_dup(&info->version, "0.1.0");
}

// The schema in plugin.toml has one key, and its value is an integer: the digits in the JSON text, if there are any, are it.
// With a schema that says more, link a JSON reader.
bool exports_portcullis_plugin_lifecycle_init(plugin_string_t *config, plugin_string_t *error) {
    (void)error; // set it, and return false, where the configuration cannot be used
    int64_t number = 0;
    bool has_number = false;
    for (size_t at = 0; at < config->len; at++) {
        uint8_t digit = config->ptr[at] - '0';
        if (digit > 9) continue;
        number = number * 10 + digit;
        has_number = true;
    }
    if (has_number) calls_max = number;
    plugin_string_free(config);
    return true;
}

// Copies a text behind a prefix, so that a principal cannot have the name of a session.
static void make_key(plugin_string_t *key, const char *prefix, const plugin_string_t *text) {
    size_t begin = strlen(prefix);
    key->len = begin + text->len;
    key->ptr = malloc(key->len);
    if (key->ptr == NULL) abort();
    memcpy(key->ptr, prefix, begin);
    memcpy(key->ptr + begin, text->ptr, text->len);
}

// Counts a call. The store is the gateway's: all instances of this plugin share it, and one instance may be thrown away at
// any time. The minute begins when the counter does.
static bool is_within_limit(const portcullis_plugin_types_call_context_t *ctx) {
    plugin_string_t key;
    if (ctx->principal.is_some) {
        make_key(&key, "principal ", &ctx->principal.val.subject);
    } else if (ctx->session.is_some) {
        make_key(&key, "session ", &ctx->session.val);
    } else {
        plugin_string_dup(&key, "anonymous");
    }
    int64_t calls = 0;
    portcullis_plugin_kv_error_t error = 0;
    bool is_counted = portcullis_plugin_kv_increment(&key, 1, &minute_ms, &calls, &error);
    plugin_string_free(&key);
    return is_counted && calls <= calls_max; // what cannot be counted is too much
}

void exports_portcullis_plugin_on_message_on_message(portcullis_plugin_types_call_context_t *ctx,
                                                     portcullis_plugin_types_verdict_t *verdict) {
    memset(verdict, 0, sizeof *verdict); // passes, without notes
    if (!is_within_limit(ctx)) {
        portcullis_plugin_types_denial_t *denial = &verdict->decision.val.deny;
        verdict->decision.tag = PORTCULLIS_PLUGIN_TYPES_DECISION_DENY;
        denial->code = -32004; // overloaded
        // The client reads the message, and only the log the reason.
        plugin_string_dup(&denial->message, "too many calls; try again in a minute");
        plugin_string_dup(&denial->reason, "calls-per-minute is reached");
        denial->data.is_some = false;
    }
    portcullis_plugin_types_call_context_free(ctx);
}
