/*
 * Writes JSON (and other text) straight into a buffer that is wiped, so that a value never lies
 * in a library's memory on its way out. Internal to api/. Latches its first error, like struct
 * cbor_writer.
 */
#ifndef OSTRAKA_API_JSON_OUT_H
#define OSTRAKA_API_JSON_OUT_H

#include "base/bytes.h"

struct json_out {
    struct buf *buf;    /* borrowed; appended to */
    enum vault_err err; /* first error; later calls do nothing */
};

void json_out_init(struct json_out *out, struct buf *buf);
/* As it is. */
void json_out_raw(struct json_out *out, const char *text);
/* '{' or '[', with a comma before it where one is needed. */
void json_out_open(struct json_out *out, char bracket);
void json_out_close(struct json_out *out, char bracket);
/* `"key":`, with a comma before it unless it is the first. `key` needs no escapes. */
void json_out_key(struct json_out *out, const char *key);
/* The same of any UTF-8. */
void json_out_key_string(struct json_out *out, struct bytes key);

/* Values, with a comma before them where one is needed. */
void json_out_string(struct json_out *out,
                     struct bytes utf8); /* ERR_INTERNAL when it is not UTF-8 */
void json_out_text(struct json_out *out, const char *text);
/* A member whose value is a list of them. */
void json_out_strings(struct json_out *out, const char *key, const struct bytes *utf8,
                      size_t count);
void json_out_base64(struct json_out *out, struct bytes value);
void json_out_u64(struct json_out *out, uint64_t number);
void json_out_i64(struct json_out *out, int64_t number);
void json_out_bool(struct json_out *out, bool value);
void json_out_null(struct json_out *out);
void json_out_time(struct json_out *out, uint64_t wall_ms); /* RFC 3339, UTC, milliseconds */

#endif
