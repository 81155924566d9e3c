#include "runtime/certificate_watch.h"

#include "runtime/keyfile.h"
#include "runtime/tls_period.h"

enum {
    PEM_FILE_BYTES_MAX = 1024 * 1024,
    DAY_MS = 24 * 60 * 60 * 1000,
};

static uint64_t
end_of(const char *path)
{
    struct tls_period period = {0};
    struct buf pem;

    if (file_read(path, PEM_FILE_BYTES_MAX, &pem) != OK)
        return 0;
    if (tls_period_read(buf_bytes(&pem), &period) != OK)
        period.not_after_ms = 0;
    buf_close(&pem);
    return period.not_after_ms;
}

void
certificate_watch_read(struct certificate_watch *watch, const char *certificate, const char *ca)
{
    *watch =
        (struct certificate_watch){.node_ends_ms = end_of(certificate), .ca_ends_ms = end_of(ca)};
}

void
certificate_watch_look(struct certificate_watch *watch, struct instant now, uint64_t wall_ms,
                       const struct log_sink *log)
{
    bool is_ca = watch->node_ends_ms == 0 ||
                 (watch->ca_ends_ms > 0 && watch->ca_ends_ms < watch->node_ends_ms);
    uint64_t ends_ms = is_ca ? watch->ca_ends_ms : watch->node_ends_ms;
    char when[RFC3339_BYTES];

    if (ends_ms == 0 || wall_ms + CERTIFICATE_WARNING_DAYS * (uint64_t)DAY_MS < ends_ms)
        return;
    if (watch->told && instant_since(now, watch->told_at).ns < duration_ms(DAY_MS).ns)
        return;
    watch->told = true;
    watch->told_at = now;
    rfc3339_format(ends_ms, when);
    log_event(log, LOG_WARN, "server", "certificate_ends_soon",
              log_text("certificate", is_ca ? "ca.crt" : "node.crt"), log_text("ends", when));
}

int64_t
certificate_seconds_left(uint64_t ends_ms, uint64_t wall_ms)
{
    return ((int64_t)ends_ms - (int64_t)wall_ms) / 1000;
}
