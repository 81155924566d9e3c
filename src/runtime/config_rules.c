#include "runtime/config_rules.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/limits.h"
#include "runtime/config_file.h"

static bool
host_valid(const char *text)
{
    size_t size = strlen(text);
    struct in6_addr ignored;

    /* A name has no colon: what has one is an IPv6 address, or a host with its port. */
    if (strchr(text, ':') && inet_pton(AF_INET6, text, &ignored) != 1)
        return false;
    return size > 0 && size <= HOST_BYTES_MAX && text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") ==
               size;
}

static bool
hex_valid(const char *text, size_t bytes)
{
    return strlen(text) == 2 * bytes && strspn(text, "0123456789abcdefABCDEF") == 2 * bytes;
}

static bool
hex16_valid(const char *text)
{
    return hex_valid(text, 16);
}

static bool
hex32_valid(const char *text)
{
    return hex_valid(text, 32);
}

static bool
path_valid(const char *text)
{
    return text[0] != '\0' && strlen(text) < CONFIG_PATH_MAX / 2;
}

const char *const config_seal_names[] = {"none", "file", NULL};
const char *const config_level_names[] = {"debug", "info", "warn", "error", NULL};
const char *const config_format_names[] = {"logfmt", "json", NULL};
const char *const config_switch_names[] = {"no", "yes", NULL};
const char *const config_audit_names[] = {"clear", "hmac", NULL};

int
name_index(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

static const struct config_rule rules[] = {
    {"cluster_id", hex16_valid, NULL, 0, 0, "32 hexadecimal digits"},
    {"admin_token_hash", hex32_valid, NULL, 0, 0, "64 hexadecimal digits"},
    {"share_key", hex32_valid, NULL, 0, 0, "64 hexadecimal digits"},
    {"vote_key", hex32_valid, NULL, 0, 0, "64 hexadecimal digits"},
    {"check", hex32_valid, NULL, 0, 0, "64 hexadecimal digits"},
    {"host", host_valid, NULL, 0, 0, "an address or a host name"},
    {"listen", host_valid, NULL, 0, 0, "an address or a host name"},
    {"directory", path_valid, NULL, 0, 0, "a path of 1 to 511 bytes"},
    {"type", NULL, config_seal_names, 0, 0, "\"none\" or \"file\""},
    {"log_level", NULL, config_level_names, 0, 0, "\"debug\", \"info\", \"warn\" or \"error\""},
    {"log_format", NULL, config_format_names, 0, 0, "\"logfmt\" or \"json\""},
    {"shares", NULL, NULL, 1, REPLICAS_MAX, NULL},
    {"threshold", NULL, NULL, 1, REPLICAS_MAX, NULL},
    {"api_port", NULL, NULL, 1, 65535, NULL},
    {"link_port", NULL, NULL, 1, 65535, NULL},
    {"cache_mb", NULL, NULL, 4, 1024 * 1024, NULL},
    {"disk_free_min_mb", NULL, NULL, 1, 1024 * 1024, NULL},
    {"requests_max", NULL, NULL, 1, 1000000, NULL},
    {"request_deadline_ms", NULL, NULL, 100, 600000, NULL},
    {"share_key_rotation_s", NULL, NULL, 1, 30 * 24 * 3600, NULL},
    {"shred_interval_ms", NULL, NULL, 100, 24 * 3600 * 1000, NULL},
    {"scrub_rows_per_s", NULL, NULL, 0, 1000000, NULL},
    {"address_requests_per_s", NULL, NULL, 0, 1000000, NULL},
    {"address_connections_per_s", NULL, NULL, 0, 1000000, NULL},
    {"identity_requests_per_s", NULL, NULL, 0, 1000000, NULL},
    {"address_connections_max", NULL, NULL, 0, 1000000, NULL},
    {"address_handshakes_max", NULL, NULL, 0, 1000000, NULL},
    {"slow_failed_logins", NULL, config_switch_names, 0, 0, "\"no\" or \"yes\""},
    {"audit_names", NULL, config_audit_names, 0, 0, "\"clear\" or \"hmac\""},
    {"audit_blocks_kept", NULL, NULL, 1000, 100000000, NULL},
    {"token_sweep_slack_s", NULL, NULL, 1, 30 * 24 * 3600, NULL},
};

const struct config_rule *
config_rule_of(const char *option)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].option, option) == 0)
            return &rules[i];
    }
    return NULL;
}
