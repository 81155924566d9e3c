#include "cli/secret_common.h"

#include <string.h>

#include "base/cbor.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/url.h"
#include "crypto/base64.h"
#include "proto/request.h"

int
secret_out_of_memory(void)
{
    output_error("out of memory");
    return EXIT_FAILED;
}

int
secret_check_name(const char *command, const char *name)
{
    if (secret_name_valid(bytes_of_text(name)))
        return EXIT_OK;
    return cli_usage_error(command,
                           "the name is not valid: 1 to 512 bytes of UTF-8, parts separated by "
                           "single '/', no part empty, \".\" or \"..\", no control characters, "
                           "no '_' at the beginning");
}

/* "/v1/secrets/NAME" and the like, NUL-terminated. */
int
secret_target(const char *prefix, const char *name, struct buf *out)
{
    *out = (struct buf){0};
    if (buf_append_text(out, prefix) == OK && url_append_path(out, bytes_of_text(name)) == OK)
        return EXIT_OK;
    buf_close(out);
    return secret_out_of_memory();
}

int
secret_target_parameter(struct buf *target, char *separator, const char *key, const char *value)
{
    if (buf_printf(target, "%c%s=", *separator, key) != OK ||
        url_append_query(target, bytes_of_text(value)) != OK)
        return secret_out_of_memory();
    *separator = '&';
    return EXIT_OK;
}

int
secret_target_end(struct buf *target)
{
    return buf_append(target, bytes_of("", 1)) == OK ? EXIT_OK : secret_out_of_memory();
}

/* The value's own bytes. */
static enum vault_err
decode_base64(struct bytes text, struct buf *out)
{
    size_t room = base64_decoded_size_max(text.size);
    enum vault_err err = buf_reserve(out, room);

    return err ? err : base64_decode(text, out->data, room, &out->size);
}

int
secret_value_of(const json_t *json, struct buf *out)
{
    const json_t *value = json_object_get(json, "value");
    const char *encoding = json_string_value(json_object_get(json, "encoding"));
    struct bytes text = bytes_of(json_string_value(value), json_string_length(value));
    enum vault_err err = ERR_MALFORMED;

    *out = (struct buf){0};
    if (json_is_string(value) && encoding && strcmp(encoding, "base64") == 0)
        err = decode_base64(text, out);
    else if (json_is_string(value) && (!encoding || strcmp(encoding, "text") == 0))
        err = buf_append(out, text);
    if (err == OK)
        return EXIT_OK;
    buf_close(out);
    return err == ERR_NOMEM ? secret_out_of_memory() : client_bad_answer();
}

/* JSON has text only, and a NUL in it is more than some readers bear. */
static bool
is_plain_text(struct bytes value)
{
    return utf8_valid(value) && (value.size == 0 || !memchr(value.data, 0, value.size));
}

json_t *
secret_body_of(struct bytes value, bool is_base64, uint64_t expected_version)
{
    struct buf encoded = {0};
    json_t *body = json_object();
    bool binary = !is_base64 && !is_plain_text(value);
    bool good = body != NULL;

    if (good && binary) {
        good = base64_encode(value, &encoded) == OK;
        value = buf_bytes(&encoded);
    }
    good = good && json_object_set_new(
                       body, "value",
                       json_stringn(value.size ? (const char *)value.data : "", value.size)) == 0;
    if (good && (binary || is_base64))
        good = json_object_set_new(body, "encoding", json_string("base64")) == 0;
    if (good && expected_version)
        good = json_object_set_new(body, "expected_version",
                                   json_integer((json_int_t)expected_version)) == 0;
    buf_close(&encoded);
    if (good)
        return body;
    json_decref(body);
    return NULL;
}
