/* What an error looks like from outside. Internal to api/. */
#ifndef OSTRAKA_API_STATUS_TABLE_H
#define OSTRAKA_API_STATUS_TABLE_H

#include "api/api.h"

struct error_face {
    enum vault_err
        shown; /* its name and text; causes that are no caller's business are not told apart */
    unsigned status;   /* HTTP */
    const char *retry; /* "safe": nothing happened; "same_key": the outcome is unknown; "no" */
    const char *phase; /* "voting", "writing", or NULL when it does not apply */
};

struct error_face error_face(enum vault_err err, enum failed_phase phase);

/* Reason phrase of a status that this API uses; "Unknown" otherwise. */
const char *status_reason(unsigned status);

#endif
