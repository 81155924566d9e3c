/* Audit trails as JSON. Internal to api/. */
#ifndef OSTRAKA_API_AUDIT_RENDER_H
#define OSTRAKA_API_AUDIT_RENDER_H

#include "api/json_out.h"
#include "proto/request.h"

void audit_render_records(const struct reply *reply, struct json_out *out);
void audit_render_export(const struct reply *reply, struct json_out *out);

#endif
