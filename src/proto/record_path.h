/*
 * Paths of identity records: who exists, what their tokens and policies are. Their names are
 * reserved (no secret can have one), they are kept by all nodes of the cluster, and their values are
 * in their heads, in clear: nothing secret goes there, tokens only by their hash.
 *
 *   tenant   that of the record, or SYSTEM_TENANT for what belongs to the whole cluster
 *   name     _auth/<kind>/<key>
 */
#ifndef OSTRAKA_PROTO_RECORD_PATH_H
#define OSTRAKA_PROTO_RECORD_PATH_H

#include "proto/head.h"

/* No tenant can be called so: tenant_name_valid() refuses it. */
#define SYSTEM_TENANT "_system"
#define RECORD_PREFIX "_auth/"

enum {
    RECORD_NAME_BYTES_MAX =
        sizeof(RECORD_PREFIX) - 1 + RECORD_KIND_BYTES_MAX + 1 + RECORD_KEY_BYTES_MAX
};
static_assert((int)RECORD_NAME_BYTES_MAX <= (int)NAME_BYTES_MAX, "it is a name");

/* The path is that of an identity record, and of no secret or batch. */
bool record_path_is(struct path path);
/* [a-z]{1,16} */
bool record_kind_valid(struct bytes kind);
/* 1..128 of letters, digits and . _ ~ @ : + = - */
bool record_key_valid(struct bytes key);
/*
 * Path of a record, whose name is written to `memory`. Errors: ERR_BAD_NAME kind or key, or a tenant
 * that is neither valid nor that of the system.
 */
MUST_CHECK enum vault_err record_path_make(struct bytes tenant, struct bytes kind, struct bytes key,
                                           uint8_t memory[static RECORD_NAME_BYTES_MAX],
                                           struct path *out);
/* The name of a list: _auth/<kind>/ and perhaps a key. False: it is not of that form. */
bool record_list_name_split(struct bytes name, struct bytes *kind, struct bytes *after);
/* Kind and key of a path that record_path_is(); views into its name. */
void record_path_split(struct path path, struct bytes *kind, struct bytes *key);

#endif
