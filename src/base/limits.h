/*
 * Every bound in one place, with the relations between them checked by the compiler.
 */
#ifndef OSTRAKA_BASE_LIMITS_H
#define OSTRAKA_BASE_LIMITS_H

#include <assert.h>

/* A build of the simulator has more, to count what more nodes would cost: ostraka-sim-wide. */
#ifndef OSTRAKA_NODES_MAX
#define OSTRAKA_NODES_MAX 9
#endif

enum {
    NODES_MAX = OSTRAKA_NODES_MAX, /* nodes of a cluster */
    REPLICAS_MAX = 7,              /* shares of one secret */
    NODE_NAME_BYTES_MAX = 32,      /* node name in cluster.conf */
    HOST_BYTES_MAX = 253,          /* host name or address */
    NAME_BYTES_MAX = 512,          /* secret name */
    TENANT_BYTES_MAX = 64,         /* tenant name */
    VALUE_BYTES_MAX = 1024 * 1024, /* plaintext value */
    CONTENT_TYPE_BYTES_MAX = 128,  /* content type kept with a value */
    AUTHOR_BYTES_MAX = 64,         /* who wrote a version */
    CREDENTIAL_BYTES_MAX = 4096,   /* bearer token or JWT */
    REQUEST_ID_BYTES_MAX = 64,     /* X-Request-Id, visible ASCII */
    IDEMPOTENCY_KEY_BYTES_MAX = 128,
    BATCH_ITEMS_MAX = 256,            /* secrets in one batch */
    BATCH_VALUES_BYTES_MAX = 1 << 20, /* all values written by one batch, or read by it */
    BATCH_ID_BYTES = 16,
    BATCH_MEMBER_BYTES = 16,                /* hash of a member's name in a batch record */
    KEYED_OPS_MAX = 64,                     /* operations under a key that a head remembers */
    OP_IDS_MAX = KEYED_OPS_MAX + NODES_MAX, /* and the newest without one of each node */
    VERSIONS_KEPT_MAX = 64,                 /* versions kept per secret unless told otherwise */
    GROUP_VERSIONS_MAX = 8,                 /* versions of a secret that one change makes */
    GROUP_VALUE_BYTES_MAX = 4096,           /* value of each but the latest of them */
    PAGE_DEFAULT = 100,
    PAGE_MAX = 1000,
    RECORD_VALUE_BYTES_MAX = 16 * 1024,              /* identity record, kept in its head */
    RECORD_KIND_BYTES_MAX = 16,                      /* kind of an identity record */
    RECORD_KEY_BYTES_MAX = 128,                      /* and its key */
    HEAD_BYTES_MAX = 32 * 1024,                      /* encoded head */
    VERSION_BYTES_MAX = 512,                         /* encoded version record */
    DEALING_BYTES_MAX = VALUE_BYTES_MAX + 16 * 1024, /* encoded dealing, boxes included */
    FRAME_BYTES_MAX = 4 * 1024 * 1024,               /* one message between nodes */
    PROOF_BYTES_MAX = HEAD_BYTES_MAX + 3072,         /* encoded proof of votes or of writes */
    KEY_BYTES_MAX = 768,                             /* key of a row in the store */
    ROW_BYTES_MAX = DEALING_BYTES_MAX + 1024,        /* value of a row in the store */
    BODY_BYTES_MAX = 2 * 1024 * 1024, /* HTTP request body: 1 MiB of value in base64, and JSON */
    HEADER_BYTES_MAX = 16 * 1024,     /* all header lines of one HTTP request */
    TARGET_BYTES_MAX = 4 * 1024,      /* request target of one HTTP request */
    HEADERS_MAX = 64,                 /* header lines of one HTTP request */
    ENV_TEXT_BYTES_MAX = 1024 * 1024, /* .env text of one request */
    ENV_RESULT_BYTES_MAX = 4 * 1024 * 1024, /* and what becomes of it */
    ENV_REFERENCES_MAX = BATCH_ITEMS_MAX,   /* secret() in one text, however often each */
    ENV_FAULTS_MAX = 100,                   /* told of one text */
    METADATA_PAIRS_MAX = 64,                /* custom metadata of a secret */
    METADATA_BYTES_MAX = 4096,              /* of all its keys and values */
    METADATA_KEY_BYTES_MAX = 128,           /* and of one key */
    METADATA_ENCODED_BYTES_MAX = METADATA_BYTES_MAX + 2 * METADATA_PAIRS_MAX * 3 + 3,
};

static_assert(REPLICAS_MAX <= NODES_MAX, "a replica is a node");
static_assert(HEAD_BYTES_MAX + VERSION_BYTES_MAX + DEALING_BYTES_MAX + 8192 <= FRAME_BYTES_MAX,
              "a WRITE fits a frame");
static_assert(VALUE_BYTES_MAX / 3 * 4 + 4096 <= BODY_BYTES_MAX, "a value fits a body as base64");

#endif
