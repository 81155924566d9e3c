/*
 * Host names, looked up where nobody waits. The system's resolver blocks, for ten seconds and more
 * while its servers do not answer; a node that waited for it would be silent for that long, and
 * without its links, to its clients too. So the C library asks, in a thread of its own
 * (getaddrinfo_a), and we look now and then whether it has an answer.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/link_internal.h"

struct link_lookup {
    struct gaicb question; /* it points to the next three */
    struct addrinfo hints;
    char host[HOST_BYTES_MAX + 1];
    char service[8];
};

enum vault_err
link_lookup_begin(const char *host, uint16_t port, struct link_lookup **out)
{
    struct link_lookup *lookup = calloc(1, sizeof(*lookup));

    *out = NULL;
    if (!lookup)
        return ERR_NOMEM;
    lookup->hints = (struct addrinfo){
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(lookup->host, sizeof(lookup->host), "%s", host);
    snprintf(lookup->service, sizeof(lookup->service), "%u", (unsigned)port);
    lookup->question = (struct gaicb){
        .ar_name = lookup->host, .ar_service = lookup->service, .ar_request = &lookup->hints};
    struct gaicb *list[] = {&lookup->question};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
        free(lookup);
        return ERR_NOMEM;
    }
    *out = lookup;
    return OK;
}

enum vault_err
link_lookup_end(struct link_lookup **lookup, struct link_addresses *out, char *why, size_t why_size)
{
    struct gaicb *question = &(*lookup)->question;
    int failure = gai_error(question);

    if (failure == EAI_INPROGRESS)
        return ERR_NOT_READY;
    if (failure == 0) {
        link_addresses_take(question->ar_result, out);
        freeaddrinfo(question->ar_result);
        failure = out->count > 0 ? 0 : EAI_NONAME;
    }
    if (failure != 0)
        snprintf(why, why_size, "cannot resolve %s: %s", (*lookup)->host, gai_strerror(failure));
    free(*lookup);
    *lookup = NULL;
    return failure == 0 ? OK : ERR_IO;
}

void
link_lookup_cancel(struct link_lookup *lookup)
{
    if (!lookup)
        return;
    int state = gai_cancel(&lookup->question);
    if (state == EAI_NOTCANCELED)
        return; /* the C library writes to it yet */
    if (state == EAI_ALLDONE && gai_error(&lookup->question) == 0)
        freeaddrinfo(lookup->question.ar_result);
    free(lookup);
}
