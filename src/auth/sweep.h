/*
 * The record that says which records of tokens may be forgotten: those that were made to end for
 * good before a time that the nodes have agreed upon. It lies at one path, in the system's tenant;
 * actors/sweep.h tells who may change it.
 */
#ifndef OSTRAKA_AUTH_SWEEP_H
#define OSTRAKA_AUTH_SWEEP_H

#include "auth/record.h"

/* Its kind and key: letters that record_path_is() takes. */
#define SWEEP_KIND "sweep"
#define SWEEP_KEY  "tokens"

/* Appends; before_ms > 0. Errors: ERR_NOMEM, ERR_RANGE; `out` is then as before. */
MUST_CHECK enum vault_err sweep_encode(uint64_t before_ms, struct buf *out);
/* Errors: ERR_MALFORMED, *before_ms is then 0. */
MUST_CHECK enum vault_err sweep_decode(struct bytes encoded, uint64_t *before_ms);

#endif
