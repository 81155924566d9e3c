#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum {
    CHUNK = 16 * 1024,
    LINE_BYTES_MAX = 4095, /* of a terminal; what is typed beyond them is dropped, termios(3) */
    PASTE_MS = 100,        /* what is pasted comes without longer breaks */
    PASTE_BYTES_MAX = 1024 * 1024,
};

/* Reads some bytes more; *got is 0 at the end. */
static enum vault_err
read_some(int fd, struct buf *out, size_t *got)
{
    ssize_t size;

    *got = 0;
    if (buf_reserve(out, CHUNK) != OK)
        return ERR_NOMEM;
    do
        size = read(fd, out->data + out->size, CHUNK);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return ERR_IO;
    out->size += (size_t)size;
    *got = (size_t)size;
    return OK;
}

enum vault_err
input_read(int fd, size_t max, struct buf *out)
{
    enum vault_err err;
    size_t got;

    *out = (struct buf){0};
    do {
        err = read_some(fd, out, &got);
        if (err == OK && out->size > max)
            err = ERR_TOO_LARGE;
    } while (err == OK && got > 0);
    if (err)
        buf_close(out);
    return err;
}

enum vault_err
input_read_file(const char *path, size_t max, struct buf *out)
{
    enum vault_err err;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int saved;

    *out = (struct buf){0};
    if (fd < 0)
        return ERR_IO;
    err = input_read(fd, max, out);
    saved = errno;
    close(fd);
    errno = saved;
    return err;
}

/* Signals that would end or stop the program while the terminal shows nothing. */
static void
signals_of_terminal(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGTSTP);
}

/* Waits for input. Errors: ERR_IO with EINTR: a signal came first. */
static enum vault_err
wait_for_input(int fd, int signals)
{
    struct pollfd ready[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

    if (poll(ready, 2, -1) < 0)
        return ERR_IO;
    if (ready[1].revents == 0)
        return OK;
    errno = EINTR;
    return ERR_IO;
}

/* A terminal in its line mode gives at most one line per read. */
static enum vault_err
read_line(int fd, int signals, size_t max, struct buf *out)
{
    enum vault_err err;
    size_t got = 0;

    do {
        err = wait_for_input(fd, signals);
        if (err == OK)
            err = read_some(fd, out, &got);
        if (err == OK && out->size > max)
            err = ERR_TOO_LARGE;
    } while (err == OK && got > 0 && out->data[out->size - 1] != '\n');
    if (err == OK && out->size > 0 && out->data[out->size - 1] == '\n')
        out->size--;
    return err;
}

static bool
only_line_ends(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\n' && text.data[i] != '\r')
            return false;
    }
    return true;
}

/*
 * Takes what comes behind the line, so that it goes to nobody else. A terminal in its line mode
 * would not tell of a line that has no end yet. Errors: ERR_RANGE there is something.
 */
static enum vault_err
expect_no_more(int fd, const struct termios *hidden)
{
    struct termios by_byte = *hidden;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct buf rest = {0};
    enum vault_err err = OK;
    size_t got = 1;

    by_byte.c_lflag &= ~(tcflag_t)ICANON;
    by_byte.c_cc[VMIN] = 1;
    by_byte.c_cc[VTIME] = 0;
    if (tcsetattr(fd, TCSANOW, &by_byte))
        return ERR_IO;
    while (err == OK && got > 0 && rest.size < PASTE_BYTES_MAX && poll(&ready, 1, PASTE_MS) > 0)
        err = read_some(fd, &rest, &got);
    if (err == OK && !only_line_ends(buf_bytes(&rest)))
        err = ERR_RANGE;
    buf_close(&rest);
    return err;
}

/* The signals are held back until the terminal shows again what is typed. */
static enum vault_err
ask_hidden(int fd, const char *prompt, int signals, size_t max, struct buf *out)
{
    struct termios shown, hidden;
    enum vault_err err;
    int saved;

    if (tcgetattr(fd, &shown))
        return ERR_IO;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(fd, TCSAFLUSH, &hidden))
        return ERR_IO;
    fputs(prompt, stderr);
    fflush(stderr);
    err = read_line(fd, signals, max, out);
    if (err == OK)
        err = expect_no_more(fd, &hidden);
    if (err == OK && out->size >= LINE_BYTES_MAX)
        err = ERR_RANGE;
    saved = errno;
    tcsetattr(fd, TCSAFLUSH, &shown);
    fputc('\n', stderr);
    errno = saved;
    return err;
}

enum vault_err
input_ask(int fd, const char *prompt, size_t max, struct buf *out)
{
    sigset_t held, before;
    enum vault_err err = ERR_IO;
    int signals, saved;

    *out = (struct buf){0};
    signals_of_terminal(&held);
    sigprocmask(SIG_BLOCK, &held, &before);
    signals = signalfd(-1, &held, SFD_CLOEXEC);
    if (signals >= 0) {
        err = ask_hidden(fd, prompt, signals, max, out);
        saved = errno;
        close(signals);
        errno = saved;
    }
    if (err)
        buf_close(out);
    /* A signal that came is delivered here. */
    sigprocmask(SIG_SETMASK, &before, NULL);
    return err;
}

void
input_trim_end(struct buf *text)
{
    while (text->size > 0) {
        uint8_t *last = &text->data[text->size - 1];
        if (*last != '\n' && *last != '\r' && *last != ' ' && *last != '\t')
            break;
        *last = 0;
        text->size--;
    }
}
