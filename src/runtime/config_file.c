/*
 * How the file is read: libconfuse knows the grammar and the types; a table of rules says what
 * each value may be and is applied while the line of the value is known; what concerns several
 * options is judged at the end, with the line of the option at fault, which is noted as it goes
 * by.
 */
#include "runtime/config_file.h"

#include <confuse.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/config_rules.h"
#include "runtime/config_text.h"
#include "runtime/keyfile.h"

enum {
    CONFIG_FILE_BYTES_MAX = 256 * 1024,
    OPTIONS_SEEN_MAX = 256, /* more than the options of a file that is accepted */
    MIB = 1024 * 1024,
};

struct parser {
    const char *path;
    char *why;
    size_t why_size;
    bool failed;
    cfg_t *root;
    struct {
        const cfg_opt_t *opt;
        int line;
    } seen[OPTIONS_SEEN_MAX];
    size_t seen_count;
};

/*
 * The parser at work on this thread. libconfuse's callbacks carry no context of the caller, so
 * there is no other way to reach it; it is set during one call of config_parse only.
 */
static _Thread_local struct parser *parsing;

/* --- errors --------------------------------------------------------------------------------- */

static void fail_at(struct parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail_at_list(struct parser *p, int line, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* The first error is the one that is told. */
static void
fail_at_list(struct parser *p, int line, const char *format, va_list arguments)
{
    int size;

    if (p->failed)
        return;
    p->failed = true;
    size = snprintf(p->why, p->why_size, "%s:%d: ", p->path, line);
    if (size > 0 && (size_t)size < p->why_size)
        vsnprintf(p->why + size, p->why_size - (size_t)size, format, arguments);
}

static void
fail_at(struct parser *p, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fail_at_list(p, line, format, arguments);
    va_end(arguments);
}

static void on_error(cfg_t *cfg, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *format, va_list arguments)
{
    fail_at_list(parsing, cfg->line, format, arguments);
}

/* --- single values --------------------------------------------------------------------------- */

static void
check_value(struct parser *p, int line, cfg_opt_t *opt)
{
    const struct config_rule *rule = config_rule_of(opt->name);

    if (opt->type == CFGT_INT) {
        long value = cfg_opt_getnint(opt, 0);

        if (value < rule->min || value > rule->max)
            fail_at(p, line, "%s must be from %ld to %ld, not %ld", opt->name, rule->min, rule->max,
                    value);
        return;
    }
    if (opt->type == CFGT_STR) {
        const char *text = cfg_opt_getnstr(opt, 0);
        bool good = rule->valid ? rule->valid(text) : name_index(rule->names, text) >= 0;

        if (!good)
            fail_at(p, line, "%s must be %s", opt->name, rule->must_be);
    }
}

static int
line_of(const struct parser *p, const cfg_opt_t *opt, int otherwise)
{
    for (size_t i = 0; i < p->seen_count; i++) {
        if (p->seen[i].opt == opt)
            return p->seen[i].line;
    }
    return otherwise;
}

/* Called by libconfuse when an option has been read; 0 lets it go on. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct parser *p = parsing;
    int before = line_of(p, opt, 0);

    if (opt->type == CFGT_SEC && (opt->flags & CFGF_MULTI)) {
        const char *title = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));

        if (!node_name_valid(bytes_of_text(title)))
            fail_at(p, cfg->line,
                    "a node's name must be 1 to %d of a-z, 0-9 and -, and not start with -",
                    NODE_NAME_BYTES_MAX);
        else if (cfg_opt_size(opt) > NODES_MAX)
            fail_at(p, cfg->line, "a cluster has at most %d nodes", NODES_MAX);
        return p->failed ? -1 : 0;
    }
    if (before > 0)
        fail_at(p, cfg->line, "%s is given twice, the first time in line %d", opt->name, before);
    else if (p->seen_count == OPTIONS_SEEN_MAX)
        fail_at(p, cfg->line, "there are too many options");
    if (p->failed)
        return -1;
    p->seen[p->seen_count].opt = opt;
    p->seen[p->seen_count++].line = cfg->line;
    check_value(p, cfg->line, opt);
    return p->failed ? -1 : 0;
}

/*
 * Called by libconfuse for the text of a number. Left to itself it takes an empty text for 0, and
 * a number that begins with 0 for an octal one: 0100 for 64. People mean neither.
 */
static int
read_number(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t count = strspn(digits, "0123456789");

    if (count == 0 || digits[count] != '\0' || (digits[0] == '0' && count > 1)) {
        fail_at(parsing, cfg->line,
                "invalid integer value for option '%s': decimal digits are expected, the first of "
                "them not 0",
                opt->name);
        return -1;
    }
    errno = 0;
    *(long *)result = strtol(text, NULL, 10);
    if (errno == 0)
        return 0;
    fail_at(parsing, cfg->line, "integer value for option '%s' is out of range", opt->name);
    return -1;
}

/* --- reading what was parsed ---------------------------------------------------------------- */

/* Options that are not in the file and have no default. Reports the first and returns false. */
static bool
all_given(struct parser *p, cfg_t *section, const char *const *names, const char *where)
{
    for (size_t i = 0; names[i]; i++) {
        if (line_of(p, cfg_getopt(section, names[i]), 0) == 0) {
            fail_at(p, section->line, "%s is missing%s", names[i], where);
            return false;
        }
    }
    return true;
}

/* Text that a rule has accepted as hexadecimal. */
static void
read_hex(cfg_t *section, const char *option, uint8_t *out, size_t size)
{
    enum vault_err err = hex_decode(bytes_of_text(cfg_getstr(section, option)), out, size);

    assert(err == OK);
}

static void
read_node(struct parser *p, cfg_t *section, struct cluster_node *node)
{
    static const char *const required[] = {"host", "api_port", "link_port", "share_key", NULL};

    snprintf(node->name, sizeof(node->name), "%s", cfg_title(section));
    if (!all_given(p, section, required, " in this node"))
        return;
    snprintf(node->host, sizeof(node->host), "%s", cfg_getstr(section, "host"));
    node->api_port = (uint16_t)cfg_getint(section, "api_port");
    node->link_port = (uint16_t)cfg_getint(section, "link_port");
    node->first_share_key.id = 1;
    read_hex(section, "share_key", node->first_share_key.key, X25519_BYTES);
    if (cfg_getstr(section, "vote_key"))
        read_hex(section, "vote_key", node->vote_key, X25519_BYTES);
}

/* Node `a` uses the port that node `b` (or itself) uses on the same host. */
static bool
port_is_taken(const struct cluster *cluster, unsigned a, uint16_t port, unsigned b)
{
    const struct cluster_node *node = &cluster->nodes[a];
    const struct cluster_node *other = &cluster->nodes[b];

    return strcmp(node->host, other->host) == 0 &&
           (port == other->api_port || port == other->link_port);
}

static void
check_ports(struct parser *p, const struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        cfg_t *section = cfg_getnsec(p->root, "node", i);

        if (node->api_port == node->link_port)
            fail_at(p, line_of(p, cfg_getopt(section, "link_port"), section->line),
                    "api_port and link_port of node \"%s\" are the same", node->name);
        for (unsigned j = 0; j < i; j++) {
            const char *option = port_is_taken(cluster, i, node->api_port, j)    ? "api_port"
                                 : port_is_taken(cluster, i, node->link_port, j) ? "link_port"
                                                                                 : NULL;

            if (option)
                fail_at(p, line_of(p, cfg_getopt(section, option), section->line),
                        "%s of node \"%s\" is used by node \"%s\" on the same host", option,
                        node->name, cluster->nodes[j].name);
        }
    }
}

static void
read_seal(struct parser *p, struct cluster *cluster)
{
    cfg_t *section = cfg_getsec(p->root, "seal");
    int check_line = line_of(p, cfg_getopt(section, "check"), 0);
    int type_line = line_of(p, cfg_getopt(section, "type"), section->line);

    cluster->seal = (enum seal_type)name_index(config_seal_names, cfg_getstr(section, "type"));
    if (cluster->seal == SEAL_FILE && check_line == 0)
        fail_at(p, type_line, "seal \"file\" needs check, the check value of the master key");
    if (cluster->seal != SEAL_FILE && check_line > 0)
        fail_at(p, check_line, "check belongs to seal \"file\" only");
    if (!p->failed && cluster->seal == SEAL_FILE)
        read_hex(section, "check", cluster->master_key_check, HASH_BYTES);
}

static void
read_cluster(struct parser *p, struct cluster *cluster)
{
    static const char *const required[] = {"cluster_id", "shares", "threshold", "admin_token_hash",
                                           NULL};
    char sentence[256];
    int line;

    if (!all_given(p, p->root, required, ""))
        return;
    read_hex(p->root, "cluster_id", cluster->id, CLUSTER_ID_BYTES);
    read_hex(p->root, "admin_token_hash", cluster->admin_token_hash, HASH_BYTES);
    cluster->share_count = (unsigned)cfg_getint(p->root, "shares");
    cluster->threshold = (unsigned)cfg_getint(p->root, "threshold");
    cluster->node_count = cfg_size(p->root, "node");
    for (unsigned i = 0; i < cluster->node_count && !p->failed; i++)
        read_node(p, cfg_getnsec(p->root, "node", i), &cluster->nodes[i]);
    read_seal(p, cluster);
    if (!p->failed)
        check_ports(p, cluster);
    if (p->failed)
        return;
    /* Names and ports are known to be good, so the fault can only be in a count. */
    line = p->root->line;
    if (cluster->node_count > 0)
        line = line_of(p, cfg_getopt(p->root, "shares"), line);
    if (cluster->node_count > 0 && cluster->share_count <= cluster->node_count)
        line = line_of(p, cfg_getopt(p->root, "threshold"), line);
    if (cluster_validate(cluster, sentence, sizeof(sentence)) != OK)
        fail_at(p, line, "%s", sentence);
    else
        cluster_config_hash(cluster, cluster->config_hash);
}

/* --- the node's own part -------------------------------------------------------------------- */

/* Absolute directory of the file. Empty when it would not fit. */
static void
directory_of(const char *path, char out[static CONFIG_PATH_MAX])
{
    char copy[CONFIG_PATH_MAX];
    char resolved[PATH_MAX];
    char current[PATH_MAX];
    const char *directory;

    out[0] = '\0';
    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return;
    directory = dirname(copy);
    if (realpath(directory, resolved))
        directory = resolved;
    if (directory[0] == '/')
        current[0] = '\0';
    else if (!getcwd(current, sizeof(current)))
        return;
    if (snprintf(out, CONFIG_PATH_MAX, "%s%s%s", current, current[0] ? "/" : "", directory) >=
        CONFIG_PATH_MAX)
        out[0] = '\0';
}

static bool
join(const char *directory, const char *name, char out[static CONFIG_PATH_MAX])
{
    const char *slash = strcmp(directory, "/") == 0 ? "" : "/";
    int size = name[0] == '/' ? snprintf(out, CONFIG_PATH_MAX, "%s", name)
                              : snprintf(out, CONFIG_PATH_MAX, "%s%s%s", directory, slash, name);

    return size < CONFIG_PATH_MAX;
}

/*
 * A folder of a node that was copied to its machine holds cluster.conf and node.crt side by side.
 */
static bool
choose_directory(struct parser *p, cfg_t *section, struct node_config *node)
{
    char base[CONFIG_PATH_MAX];
    char certificate[CONFIG_PATH_MAX];
    const char *given = cfg_getstr(section, "directory");

    directory_of(p->path, base);
    if (base[0] == '\0')
        return false;
    if (given)
        return join(base, given, node->directory);
    if (join(base, "node.crt", certificate) && access(certificate, F_OK) == 0) {
        memcpy(node->directory, base, sizeof(base));
        return true;
    }
    return join(base, cfg_title(section), node->directory);
}

/* A systemd credential of that name goes before the file in the node's directory. */
static bool
key_path(const struct node_config *node, const char *name, char out[static CONFIG_PATH_MAX])
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");

    if (credentials && credentials[0] == '/' && join(credentials, name, out) &&
        access(out, F_OK) == 0)
        return true;
    return join(node->directory, name, out);
}

static bool
fill_paths(struct parser *p, cfg_t *section, struct node_config *node)
{
    return choose_directory(p, section, node) && join(node->directory, "data", node->data) &&
           join(node->directory, "ca.crt", node->ca) &&
           join(node->directory, "node.crt", node->certificate) &&
           join(node->directory, "node.key", node->key) &&
           key_path(node, "storage.key", node->storage_key) &&
           join(node->directory, "share.keys", node->share_keys) &&
           join(node->directory, "bucket.keys", node->bucket_keys) &&
           join(node->directory, "birth", node->birth) &&
           join(node->directory, "sequence", node->sequence) &&
           join(node->directory, "storage.failed", node->failed) &&
           key_path(node, "master.key", node->master_key);
}

static void
read_server(struct parser *p, struct node_config *node)
{
    cfg_t *section = cfg_getsec(p->root, "server");

    node->cache_bytes = (uint64_t)cfg_getint(section, "cache_mb") * MIB;
    node->disk_free_min_bytes = (uint64_t)cfg_getint(section, "disk_free_min_mb") * MIB;
    node->requests_max = (uint64_t)cfg_getint(section, "requests_max");
    node->request_deadline_ms = (uint32_t)cfg_getint(section, "request_deadline_ms");
    node->share_key_rotation_s = (uint32_t)cfg_getint(section, "share_key_rotation_s");
    node->shred_interval_ms = (uint32_t)cfg_getint(section, "shred_interval_ms");
    node->scrub_rows_per_s = (uint64_t)cfg_getint(section, "scrub_rows_per_s");
    node->address_requests_per_s = (uint32_t)cfg_getint(section, "address_requests_per_s");
    node->address_connections_per_s = (uint32_t)cfg_getint(section, "address_connections_per_s");
    node->identity_requests_per_s = (uint32_t)cfg_getint(section, "identity_requests_per_s");
    node->address_connections_max = (size_t)cfg_getint(section, "address_connections_max");
    node->address_handshakes_max = (size_t)cfg_getint(section, "address_handshakes_max");
    node->slow_failed_logins =
        name_index(config_switch_names, cfg_getstr(section, "slow_failed_logins")) == 1;
    node->audit_names_hashed =
        name_index(config_audit_names, cfg_getstr(section, "audit_names")) == 1;
    node->audit_blocks_kept = (uint64_t)cfg_getint(section, "audit_blocks_kept");
    node->token_sweep_slack_s = (uint32_t)cfg_getint(section, "token_sweep_slack_s");
    node->log_level =
        (enum log_level)name_index(config_level_names, cfg_getstr(section, "log_level"));
    node->log_format =
        (enum log_format)name_index(config_format_names, cfg_getstr(section, "log_format"));
}

static void
fail_unknown_node(struct parser *p, const struct cluster *cluster, const char *name)
{
    char names[NODES_MAX * (NODE_NAME_BYTES_MAX + 2) + 1] = "";
    size_t used = 0;

    for (unsigned i = 0; i < cluster->node_count; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
                                 cluster->nodes[i].name);
    fail_at(p, cfg_getnsec(p->root, "node", 0)->line, "there is no node \"%.64s\"; there is %s",
            name, names);
}

static void
read_own_part(struct parser *p, const char *name, struct config *out)
{
    int self = cluster_find_node(&out->cluster, bytes_of_text(name));
    const char *listen;
    cfg_t *section;

    if (self < 0) {
        fail_unknown_node(p, &out->cluster, name);
        return;
    }
    section = cfg_getnsec(p->root, "node", (unsigned)self);
    out->node.self = (unsigned)self;
    listen = cfg_getstr(section, "listen");
    snprintf(out->node.listen_host, sizeof(out->node.listen_host), "%s",
             listen ? listen : out->cluster.nodes[self].host);
    read_server(p, &out->node);
    if (!fill_paths(p, section, &out->node))
        fail_at(p, section->line, "the paths of node \"%s\" are too long", name);
}

/* --- entry ---------------------------------------------------------------------------------- */

/* Has every value of a section go by on_value, and the text of a number by read_number before. */
static void
watch(cfg_opt_t *options)
{
    for (; options->name; options++) {
        options->validcb = on_value;
        if (options->type == CFGT_INT)
            options->parsecb = read_number;
    }
}

static enum vault_err
parse_with(struct parser *p, const char *text, const char *node, struct config *out)
{
    cfg_opt_t node_options[] = {
        CFG_STR("host", NULL, CFGF_NONE),      CFG_INT("api_port", 0, CFGF_NONE),
        CFG_INT("link_port", 0, CFGF_NONE),    CFG_STR("share_key", NULL, CFGF_NONE),
        CFG_STR("vote_key", NULL, CFGF_NONE),  CFG_STR("listen", NULL, CFGF_NONE),
        CFG_STR("directory", NULL, CFGF_NONE), CFG_END(),
    };
    cfg_opt_t seal_options[] = {
        CFG_STR("type", "none", CFGF_NONE),
        CFG_STR("check", NULL, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t server_options[] = {
        CFG_STR("log_level", "info", CFGF_NONE),
        CFG_STR("log_format", "logfmt", CFGF_NONE),
        CFG_INT("cache_mb", 128, CFGF_NONE),
        CFG_INT("disk_free_min_mb", 64, CFGF_NONE),
        CFG_INT("requests_max", 1024, CFGF_NONE),
        CFG_INT("request_deadline_ms", 5000, CFGF_NONE),
        CFG_INT("share_key_rotation_s", 3600, CFGF_NONE),
        CFG_INT("shred_interval_ms", 600000, CFGF_NONE),
        CFG_INT("scrub_rows_per_s", 200, CFGF_NONE),
        CFG_INT("address_requests_per_s", 0, CFGF_NONE),
        CFG_INT("address_connections_per_s", 0, CFGF_NONE),
        CFG_INT("identity_requests_per_s", 0, CFGF_NONE),
        CFG_INT("address_connections_max", 0, CFGF_NONE),
        CFG_INT("address_handshakes_max", 0, CFGF_NONE),
        CFG_STR("slow_failed_logins", "yes", CFGF_NONE),
        CFG_STR("audit_names", "clear", CFGF_NONE),
        CFG_INT("audit_blocks_kept", 1048576, CFGF_NONE),
        CFG_INT("token_sweep_slack_s", 86400, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t root_options[] = {
        CFG_STR("cluster_id", NULL, CFGF_NONE),
        CFG_INT("shares", 0, CFGF_NONE),
        CFG_INT("threshold", 0, CFGF_NONE),
        CFG_STR("admin_token_hash", NULL, CFGF_NONE),
        CFG_SEC("seal", seal_options, CFGF_NONE),
        CFG_SEC("server", server_options, CFGF_NONE),
        CFG_SEC("node", node_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };

    watch(node_options);
    watch(seal_options);
    watch(server_options);
    watch(root_options);
    p->root = cfg_init(root_options, CFGF_NONE);
    if (!p->root)
        return ERR_NOMEM;
    cfg_set_error_function(p->root, on_error);
    if (cfg_parse_buf(p->root, text) != CFG_SUCCESS)
        fail_at(p, p->root->line, "the file cannot be understood");
    if (!p->failed)
        read_cluster(p, &out->cluster);
    if (!p->failed && node)
        read_own_part(p, node, out);
    cfg_free(p->root);
    return p->failed ? ERR_CONFIG : OK;
}

/* As parse_with, after the text has been made ready for libconfuse. */
static enum vault_err
parse_text(struct parser *p, const char *text, const char *node, struct config *out)
{
    struct buf prepared = {0};
    const char *why;
    int line;
    enum vault_err err = config_text_prepare(text, &prepared, &line, &why);

    if (err == ERR_MALFORMED) {
        fail_at(p, line, "%s", why);
        err = ERR_CONFIG;
    }
    if (err == OK)
        err = parse_with(p, (const char *)prepared.data, node, out);
    buf_close(&prepared);
    return err;
}

enum vault_err
config_parse(const char *text, const char *path, const char *node, struct config *out, char *why,
             size_t why_size)
{
    struct parser parser = {.path = path, .why = why, .why_size = why_size};
    enum vault_err err;

    memset(out, 0, sizeof(*out));
    if (why_size > 0)
        why[0] = '\0';
    parsing = &parser;
    err = parse_text(&parser, text, node, out);
    parsing = NULL;
    if (err != OK)
        memset(out, 0, sizeof(*out));
    return err;
}

enum vault_err
config_load(const char *path, const char *node, struct config *out, char *why, size_t why_size)
{
    struct buf content;
    enum vault_err err = file_read(path, CONFIG_FILE_BYTES_MAX, &content);

    memset(out, 0, sizeof(*out));
    if (err != OK) {
        snprintf(why, why_size, "cannot read %s: %s", path,
                 err == ERR_NOT_FOUND ? "there is no such file" : vault_err_text(err));
        return ERR_IO;
    }
    if (memchr(content.data, '\0', content.size)) {
        snprintf(why, why_size, "%s:1: the file is not text", path);
        err = ERR_CONFIG;
    }
    if (err == OK)
        err = buf_append(&content, bytes_of("", 1));
    if (err == OK)
        err = config_parse((const char *)content.data, path, node, out, why, why_size);
    buf_close(&content);
    return err;
}
