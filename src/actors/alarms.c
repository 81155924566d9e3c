#include "actors/alarms.h"

#include "actors/authority.h"

#define NS_PER_S UINT64_C(1000000000)

static const char *
alarm_name(enum alarm_kind kind)
{
    switch (kind) {
    case ALARM_DENIALS: return "alarm_denials";
    case ALARM_FAILURES: return "alarm_failed_logins";
    case ALARM_REVOKED: return "alarm_revoked_token";
    case ALARM_SHARES: return "alarm_bad_share";
    case ALARM_PEER: return "alarm_peer_denied";
    }
    return "alarm";
}

/* `node`: about whom; this node itself when it is about a client. */
static void
note(struct alarm_count *c, const struct step *st, enum alarm_kind kind, unsigned enough,
     uint8_t node)
{
    bool over = instant_since(st->now, c->since).ns > ALARM_WINDOW_S * NS_PER_S;
    if (c->count == 0 || over)
        *c = (struct alarm_count){.since = st->now};
    if (c->count <= enough)
        c->count++;
    if (c->count != enough)
        return;
    c->count++; /* that was the line of this window */
    metrics_count(st->metrics, METRIC_alarms);
    log_event(st->log, LOG_ERROR, "alarms", alarm_name(kind), log_u64("node", node),
              log_u64("times", enough));
}

void
alarms_client_refused(const struct membership *ms, const struct step *st, struct bytes credential,
                      enum vault_err err)
{
    struct alarms *alarms = ms->alarms;
    if (!alarms)
        return;
    if (err == ERR_FORBIDDEN || err == ERR_NOT_FOUND) {
        metrics_count(st->metrics, METRIC_requests_denied);
        note(&alarms->of_kind[ALARM_DENIALS], st, ALARM_DENIALS, ALARM_DENIALS_MIN, ms->self);
    }
    if (err != ERR_UNAUTHENTICATED || credential.size == 0)
        return;
    metrics_count(st->metrics, METRIC_credentials_refused);
    note(&alarms->of_kind[ALARM_FAILURES], st, ALARM_FAILURES, ALARM_FAILURES_MIN, ms->self);
    if (!authority_was_revoked(ms, st, credential))
        return;
    metrics_count(st->metrics, METRIC_tokens_revoked_used);
    note(&alarms->of_kind[ALARM_REVOKED], st, ALARM_REVOKED, 1, ms->self);
}

void
alarms_peer_refused(const struct membership *ms, const struct step *st, uint8_t peer,
                    enum vault_err err)
{
    bool denied = err == ERR_FORBIDDEN || err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED;
    if (!ms->alarms || !denied || peer == ms->self || peer >= NODES_MAX)
        return;
    metrics_count(st->metrics, METRIC_peers_denied);
    note(&ms->alarms->of_peer[peer], st, ALARM_PEER, ALARM_PEER_MIN, peer);
}

void
alarms_share_bad(const struct membership *ms, const struct step *st, uint8_t node)
{
    metrics_count(st->metrics, METRIC_shares_bad);
    if (ms->alarms)
        note(&ms->alarms->of_kind[ALARM_SHARES], st, ALARM_SHARES, 1, node);
}
