/* Addresses and sockets of links. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/link_internal.h"

enum { BACKLOG = 64 };

void
link_addresses_take(const struct addrinfo *found, struct link_addresses *out)
{
    const struct addrinfo *at;

    memset(out, 0, sizeof(*out));
    for (at = found; at != NULL && out->count < LINK_ADDRESSES_MAX; at = at->ai_next) {
        if (at->ai_addrlen > sizeof(out->list[0]))
            continue;
        memcpy(&out->list[out->count], at->ai_addr, at->ai_addrlen);
        out->sizes[out->count] = at->ai_addrlen;
        out->count++;
    }
}

/* 0 or an EAI_ code; no usable address is one, too. */
static int
find(const char *host, uint16_t port, int flags, struct link_addresses *out)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];
    int failure;

    memset(out, 0, sizeof(*out));
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    failure = getaddrinfo(host, service, &hints, &found);
    if (failure != 0)
        return failure;
    link_addresses_take(found, out);
    freeaddrinfo(found);
    return out->count > 0 ? 0 : EAI_NONAME;
}

enum vault_err
link_address(const char *host, uint16_t port, struct link_addresses *out)
{
    return find(host, port, AI_NUMERICHOST, out) == 0 ? OK : ERR_NOT_FOUND;
}

enum vault_err
link_resolve(const char *host, uint16_t port, struct link_addresses *out, char *why,
             size_t why_size)
{
    int failure;

    if (link_address(host, port, out) == OK)
        return OK;
    failure = find(host, port, 0, out);
    if (failure == 0)
        return OK;
    snprintf(why, why_size, "cannot resolve %s: %s", host,
             failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
    return ERR_IO;
}

static int
open_listener(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, address, size) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    on = errno;
    close(fd);
    errno = on;
    return -1;
}

enum vault_err
link_listen(const char *host, uint16_t port, int *out, char *why, size_t why_size)
{
    struct link_addresses addresses;
    enum vault_err err;
    int fd;

    *out = -1;
    if ((err = link_resolve(host, port, &addresses, why, why_size)) != OK)
        return err;
    fd = open_listener((const struct sockaddr *)&addresses.list[0], addresses.sizes[0]);
    if (fd < 0) {
        snprintf(why, why_size, "cannot listen for other nodes on %s port %u: %s", host,
                 (unsigned)port, strerror(errno));
        return ERR_IO;
    }
    *out = fd;
    return OK;
}

enum vault_err
link_connect(const struct sockaddr *address, socklen_t size, int *out, int *error)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *out = -1;
    *error = 0;
    if (fd < 0) {
        *error = errno;
        return ERR_IO;
    }
    if (connect(fd, address, size) != 0 && errno != EINPROGRESS) {
        *error = errno;
        close(fd);
        return ERR_IO;
    }
    link_socket_tune(fd);
    *out = fd;
    return OK;
}

void
link_socket_tune(int fd)
{
    int on = 1;

    /* A link without it is slower, not wrong. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}
