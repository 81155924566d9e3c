#include "bench/workload.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/base64.h"

/* splitmix64: names are drawn evenly and cheaply. */
static uint64_t
draw(struct workload *workload)
{
    uint64_t z = workload->noise += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Letters and digits, so that the body says as many bytes as the value has; base64 for etcd. */
static enum vault_err
make_value(struct workload *workload)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct buf plain = {0};
    enum vault_err err = OK;

    for (uint64_t i = 0; i < workload->plan.value_size && err == OK; i++)
        err = buf_append(&plain, bytes_of(&letters[draw(workload) % (sizeof letters - 1)], 1));
    if (err == OK && workload->plan.api == BENCH_ETCD) {
        err = base64_encode(buf_bytes(&plain), &workload->value);
    } else if (err == OK) {
        workload->value = plain;
        plain = (struct buf){0};
    }
    buf_close(&plain);
    return err;
}

enum vault_err
workload_open(const struct bench_plan *plan, struct rng *rng, struct workload *out)
{
    enum vault_err err;

    *out = (struct workload){.plan = *plan};
    err = rng_fill(rng, (uint8_t *)&out->run, sizeof out->run);
    out->noise = out->run;
    return err ? err : make_value(out);
}

void
workload_close(struct workload *workload)
{
    buf_close(&workload->value);
}

bool
workload_needs_names(const struct workload *workload)
{
    return workload->plan.kind != BENCH_CREATE;
}

void
bench_request_close(struct bench_request *request)
{
    buf_close(&request->target);
    buf_close(&request->body);
}

/* Makes it a C string too. */
static enum vault_err
terminate(struct buf *text)
{
    enum vault_err err = buf_append(text, bytes_of("", 1));

    if (err == OK)
        text->size--;
    return err;
}

/* ---- names ---- */

static enum vault_err
append_kept_name(const struct workload *workload, uint64_t index, struct buf *out)
{
    return buf_printf(out, "%sname-%" PRIu64, workload->plan.prefix, index);
}

static enum vault_err
append_new_name(struct workload *workload, struct buf *out)
{
    return buf_printf(out, "%snew-%016" PRIx64 "-%" PRIu64, workload->plan.prefix, workload->run,
                      workload->created++);
}

static enum vault_err
append_drawn_name(struct workload *workload, struct buf *out)
{
    const struct bench_plan *plan = &workload->plan;
    bool hot = plan->hot > 0 && draw(workload) % 10 != 0;

    return append_kept_name(workload, draw(workload) % (hot ? plan->hot : plan->names), out);
}

/* ---- requests: `name` is the name of the secret, of the key ---- */

static const char json_type[] = "application/json";

static enum vault_err
vault_write(const struct workload *workload, const char *method, struct bytes name,
            struct bench_request *request)
{
    enum vault_err err =
        buf_printf(&request->target, "/v1/secrets/%.*s", (int)name.size, (const char *)name.data);

    request->method = method;
    request->type = json_type;
    if (err == OK)
        err = buf_append_text(&request->body, "{\"value\":\"");
    if (err == OK)
        err = buf_append(&request->body, buf_bytes(&workload->value));
    return err ? err : buf_append_text(&request->body, "\"}");
}

static enum vault_err
vault_read(struct bytes name, struct bench_request *request)
{
    request->method = "GET";
    return buf_printf(&request->target, "/v1/secrets/%.*s", (int)name.size,
                      (const char *)name.data);
}

static enum vault_err
etcd_write(const struct workload *workload, struct bytes name, struct bench_request *request)
{
    enum vault_err err = buf_append_text(&request->target, "/v3/kv/put");

    request->method = "POST";
    request->type = json_type;
    if (err == OK)
        err = buf_append_text(&request->body, "{\"key\":\"");
    if (err == OK)
        err = base64_encode(name, &request->body);
    if (err == OK)
        err = buf_append_text(&request->body, "\",\"value\":\"");
    if (err == OK)
        err = buf_append(&request->body, buf_bytes(&workload->value));
    return err ? err : buf_append_text(&request->body, "\"}");
}

/* A range is linearizable unless it asks not to be. */
static enum vault_err
etcd_read(struct bytes name, struct bench_request *request)
{
    enum vault_err err = buf_append_text(&request->target, "/v3/kv/range");

    request->method = "POST";
    request->type = json_type;
    if (err == OK)
        err = buf_append_text(&request->body, "{\"key\":\"");
    if (err == OK)
        err = base64_encode(name, &request->body);
    return err ? err : buf_append_text(&request->body, "\"}");
}

static enum vault_err
write_request(const struct workload *workload, const char *method, struct bytes name,
              struct bench_request *request)
{
    if (workload->plan.api == BENCH_ETCD)
        return etcd_write(workload, name, request);
    return vault_write(workload, method, name, request);
}

static enum vault_err
read_request(const struct workload *workload, struct bytes name, struct bench_request *request)
{
    return workload->plan.api == BENCH_ETCD ? etcd_read(name, request) : vault_read(name, request);
}

static enum vault_err
env_request(struct workload *workload, struct bench_request *request)
{
    enum vault_err err = buf_append_text(&request->target, "/v1/env");

    request->method = "POST";
    request->type = "text/plain";
    for (int i = 0; i < BENCH_ENV_REFERENCES && err == OK; i++) {
        err = buf_printf(&request->body, "VARIABLE_%d=secret(", i);
        if (err == OK)
            err = append_drawn_name(workload, &request->body);
        if (err == OK)
            err = buf_append_text(&request->body, ")\n");
    }
    return err;
}

static void
begin(struct bench_request *request)
{
    request->target.size = 0;
    request->body.size = 0;
    request->type = NULL;
    request->prepares = false;
}

enum vault_err
workload_next(struct workload *workload, struct bench_request *request)
{
    struct buf name = {0};
    enum bench_kind kind = workload->plan.kind;
    enum vault_err err = OK;

    begin(request);
    if (kind == BENCH_MIXED)
        kind = draw(workload) % 10 ? BENCH_READ : BENCH_CREATE;
    if (kind == BENCH_CREATE)
        err = append_new_name(workload, &name);
    else if (kind != BENCH_ENV)
        err = append_drawn_name(workload, &name);
    if (err == OK && kind == BENCH_ENV)
        err = env_request(workload, request);
    else if (err == OK && kind == BENCH_READ)
        err = read_request(workload, buf_bytes(&name), request);
    else if (err == OK)
        err = write_request(workload, kind == BENCH_CREATE ? "POST" : "PUT", buf_bytes(&name),
                            request);
    buf_close(&name);
    return err ? err : terminate(&request->target);
}

enum vault_err
workload_prepare(struct workload *workload, uint64_t index, struct bench_request *request)
{
    struct buf name = {0};
    enum vault_err err = append_kept_name(workload, index, &name);

    begin(request);
    request->prepares = true;
    if (err == OK)
        err = write_request(workload, "POST", buf_bytes(&name), request);
    buf_close(&name);
    return err ? err : terminate(&request->target);
}

bool
bench_request_succeeded(const struct bench_request *request, long status)
{
    return (status >= 200 && status < 300) || (request->prepares && status == 409);
}
