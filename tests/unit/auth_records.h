/* Identity records in a list, for tests of what is decided by them. */
#ifndef OSTRAKA_TESTS_AUTH_RECORDS_H
#define OSTRAKA_TESTS_AUTH_RECORDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/decide.h"
#include "auth/identity.h"
#include "auth/policy_json.h"

enum { RECORDS_MAX = 48 };

struct records {
    size_t count;
    struct {
        char tenant[TENANT_BYTES_MAX + 1];
        enum auth_kind kind;
        char key[AUTH_KEY_BYTES_MAX + 1];
        struct buf record;
        enum auth_found found;
    } list[RECORDS_MAX];
};

static inline enum auth_found
records_get(const void *context, struct bytes tenant, enum auth_kind kind, struct bytes key,
            struct bytes *record)
{
    const struct records *records = context;

    for (size_t i = 0; i < records->count; i++) {
        if (records->list[i].kind != kind ||
            !bytes_equal(tenant, bytes_of_text(records->list[i].tenant)) ||
            !bytes_equal(key, bytes_of_text(records->list[i].key)))
            continue;
        if (records->list[i].found == AUTH_FOUND)
            *record = buf_bytes(&records->list[i].record);
        return records->list[i].found;
    }
    return AUTH_ABSENT;
}

/* A place for a record, emptied if it was there already. */
static inline struct buf *
records_at(struct records *records, const char *tenant, enum auth_kind kind, const char *key)
{
    size_t i = 0;

    while (i < records->count &&
           (records->list[i].kind != kind || strcmp(records->list[i].tenant, tenant) != 0 ||
            strcmp(records->list[i].key, key) != 0))
        i++;
    assert_true(i < RECORDS_MAX);
    if (i == records->count) {
        records->count++;
        (void)snprintf(records->list[i].tenant, sizeof records->list[i].tenant, "%s", tenant);
        (void)snprintf(records->list[i].key, sizeof records->list[i].key, "%s", key);
        records->list[i].kind = kind;
    }
    buf_close(&records->list[i].record);
    records->list[i].found = AUTH_FOUND;
    return &records->list[i].record;
}

static inline void
records_set_found(struct records *records, enum auth_kind kind, const char *key,
                  enum auth_found found)
{
    for (size_t i = 0; i < records->count; i++)
        if (records->list[i].kind == kind && strcmp(records->list[i].key, key) == 0)
            records->list[i].found = found;
}

static inline void
records_add_tenant(struct records *records, const char *name)
{
    struct tenant tenant = {.name = bytes_of_text(name)};

    assert_int_equal(tenant_encode(&tenant, records_at(records, "", AUTH_KIND_TENANT, name)), OK);
}

static inline void
records_add_policy(struct records *records, const char *tenant, const char *name, const char *text)
{
    struct policy_fault fault;

    assert_int_equal(policy_from_text(bytes_of_text(text),
                                      records_at(records, tenant, AUTH_KIND_POLICY, name), &fault),
                     OK);
}

static inline void
records_add_identity(struct records *records, const char *tenant, const struct identity *identity)
{
    char key[UUID_TEXT_BYTES + 1];

    uuid_format(identity->id, key);
    assert_int_equal(
        identity_encode(identity, records_at(records, tenant, AUTH_KIND_IDENTITY, key)), OK);
}

/* Writes the record of a token; `key` is told if it is wanted. */
static inline void
records_add_token(struct records *records, const struct token *token, char *key_out)
{
    char key[2 * ACCESSOR_BYTES + 1];
    uint8_t accessor[ACCESSOR_BYTES];

    ticket_accessor(token->hash, accessor);
    hex_encode(bytes_of(accessor, sizeof accessor), key);
    assert_int_equal(token_encode(token, records_at(records, "", AUTH_KIND_TOKEN, key)), OK);
    if (key_out)
        memcpy(key_out, key, sizeof key);
}

static inline void
records_close(struct records *records)
{
    for (size_t i = 0; i < records->count; i++)
        buf_close(&records->list[i].record);
    *records = (struct records){0};
}

#endif
