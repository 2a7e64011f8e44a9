/* Many browsers in one process: WebSocket clients on one epoll, told by lines what to do.
 *
 * Commands come on standard input, one answer to each goes to standard output, a JSON line:
 *
 *   open FILE INFLIGHT      connect what the file lists, so many at a time; answers when all are ready
 *   reset FIRST COUNT COPIES  count anew: so many numbers from FIRST on, each to come COPIES times
 *   wait DELIVERIES MS      answers when so many have come, or after that time
 *   report                  what has come since the reset
 *   stall FROM TO           let these connections (by their place in the file) read nothing
 *   resume                  let all read again
 *   churn PER_S             close and open again so many connections a second, each with its position
 *   close                   close all
 *
 * A line of the file has, separated by tabs: port, browser number, path, subprotocol or "-", receive
 * buffer in bytes or 0, frames after which it is ready, "eio" or "-" (Engine.IO's own pings), and the
 * frames to send, as hexadecimal digits of opcode and payload: the first after the handshake, each
 * next one after one more frame has come; opcode 0: none there.
 *
 * A message says its time, number and addressee: ~TTTTTTTTTTTTTTTTNNNNNNNNBBBBBBBB~, hexadecimal,
 * the time in nanoseconds of CLOCK_MONOTONIC. Every frame is searched for such marks.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MARK = 34, FIELDS = 16, SENDS = 8, READ_BYTES = 1 << 20, ID_BYTES = 96 };
enum { MAX_LATENCIES = 16 << 20, EVENTS = 512, MAX_CONNS = 1 << 17 };
enum state { CLOSED, CONNECTING, UPGRADING, GREETING, READY };

struct conn {
    enum state state;
    int fd, port, rcvbuf, ready_after, eio, sends, seen, stalled, was_stalled;
    uint32_t browser, last_number;
    char *path, *subprotocol, *send[SENDS];
    char id[ID_BYTES]; /* of the last message: the position to come back with */
    unsigned char *rest;
    size_t rest_size;
};

static struct conn conns[MAX_CONNS];
static size_t total, next_to_open, in_flight, inflight_max, ready, failed, lost_conns;
static int epoll_fd, is_opening, is_tracking;
static uint64_t open_began;

static uint16_t *counts;
static uint32_t *latencies, first_number, messages, copies;
static uint64_t deliveries, latency_count, extra, wrong, disordered, payload_bytes, reads;
static uint64_t first_at, last_at;

static uint64_t wait_for, wait_until;
static double churn_per_s;
static uint64_t churn_began, churn_done, churned; /* the latter of one order */
static unsigned char buffer[READ_BYTES];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* -- one connection ---------------------------------------------------------------------------- */

static void listen_to(struct conn *c, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &event)) die("epoll_ctl");
}

static void open_conn(struct conn *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->rcvbuf) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &c->rcvbuf, sizeof c->rcvbuf);
    c->state = CONNECTING;
    c->seen = c->stalled = 0;
    c->rest_size = 0;
    in_flight++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    listen_to(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void close_conn(struct conn *c) {
    if (c->state == CLOSED) return;
    if (c->state == READY) ready--;
    else in_flight--;
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->rest_size = 0;
    c->state = CLOSED;
}

static void lose(struct conn *c) {
    if (c->state == READY) lost_conns++;
    else failed++;
    close_conn(c);
}

static int put(struct conn *c, const void *bytes, size_t size) {
    if (send(c->fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size) return 1;
    lose(c);
    return 0;
}

static int put_frame(struct conn *c, int opcode, const unsigned char *payload, size_t size) {
    unsigned char frame[1024];
    size_t head = 2;
    if (size > sizeof frame - 8) return 1;
    frame[0] = (unsigned char)(0x80 | opcode);
    if (size < 126) {
        frame[1] = (unsigned char)(0x80 | size);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        head = 4;
    }
    memset(frame + head, 0, 4); /* a mask of zeros: the payload stays as it is */
    memcpy(frame + head + 4, payload, size);
    return put(c, frame, head + 4 + size);
}

static int put_script(struct conn *c) {
    unsigned char bytes[1024];
    size_t size = 0;
    const char *hex;
    if (c->seen >= c->sends) return 1;
    for (hex = c->send[c->seen]; hex[0] && hex[1] && size < sizeof bytes; hex += 2) {
        unsigned int byte;
        sscanf(hex, "%2x", &byte);
        bytes[size++] = (unsigned char)byte;
    }
    if (!bytes[0]) return 1; /* nothing to say at this point */
    return put_frame(c, bytes[0], bytes + 1, size - 1);
}

static void greeted(struct conn *c) {
    if (c->state == GREETING && c->seen >= c->ready_after) {
        c->state = READY;
        in_flight--;
        ready++;
    }
}

static void upgrade(struct conn *c) {
    char request[2048], subprotocol[128] = "", after[ID_BYTES + 16] = "";
    if (strcmp(c->subprotocol, "-"))
        snprintf(subprotocol, sizeof subprotocol, "Sec-WebSocket-Protocol: %s\r\n", c->subprotocol);
    if (c->id[0]) snprintf(after, sizeof after, "&after=%s", c->id);
    int size = snprintf(request, sizeof request,
                        "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n%s\r\n",
                        c->path, after, c->port, subprotocol);
    c->state = UPGRADING;
    listen_to(c, EPOLLIN, EPOLL_CTL_MOD);
    put(c, request, (size_t)size);
}

/* -- what comes -------------------------------------------------------------------------------- */

static int64_t hex(const unsigned char *at, int digits) {
    uint64_t value = 0;
    while (digits--) {
        unsigned char d = *at++;
        if (d >= '0' && d <= '9') d = (unsigned char)(d - '0');
        else if (d >= 'a' && d <= 'f') d = (unsigned char)(d - 'a' + 10);
        else return -1;
        value = value << 4 | d;
    }
    return (int64_t)value;
}

static void take_mark(struct conn *c, const unsigned char *mark, uint64_t now) {
    int64_t sent = hex(mark + 1, 16), number = hex(mark + 17, 8), browser = hex(mark + 25, 8);
    if (sent < 0 || number < 0 || browser < 0) return;
    if ((uint32_t)browser != c->browser && browser != 0xffffffff) wrong++;
    number -= first_number;
    if (number < 0 || number >= messages) return; /* of a round before, or of a filler */
    if (!first_at) first_at = now;
    last_at = now;
    if (counts[number] >= copies) {
        extra++;
        return;
    }
    counts[number]++;
    deliveries++;
    if ((uint32_t)number + 1 < c->last_number) disordered++;
    c->last_number = (uint32_t)number + 1;
    if (!c->was_stalled && latency_count < MAX_LATENCIES)
        latencies[latency_count++] = (uint32_t)((now - (uint64_t)sent) / 1000);
}

static void take_payload(struct conn *c, const unsigned char *at, size_t size, uint64_t now) {
    const unsigned char *end = at + size, *start = at;
    payload_bytes += size;
    while ((size_t)(end - at) >= MARK && (at = memchr(at, '~', (size_t)(end - at) - MARK + 1))) {
        if (at[MARK - 1] == '~') {
            take_mark(c, at, now);
            at += MARK;
        } else {
            at++;
        }
    }
    if (is_tracking) {
        const unsigned char *id = memmem(start, size, "\"id\":\"", 6);
        const unsigned char *quote = id ? memchr(id + 6, '"', (size_t)(end - id) - 6) : NULL;
        if (quote && quote - id - 6 < ID_BYTES) {
            memcpy(c->id, id + 6, (size_t)(quote - id) - 6);
            c->id[quote - id - 6] = 0;
        }
    }
}

/* Returns what the first frame takes, 0 if it is not complete. */
static size_t take_frame(struct conn *c, const unsigned char *at, size_t size, uint64_t now) {
    size_t head = 2, length;
    if (size < 2) return 0;
    length = at[1] & 0x7f;
    if (length == 126) {
        if (size < 4) return 0;
        length = (size_t)at[2] << 8 | at[3];
        head = 4;
    } else if (length == 127) {
        if (size < 10) return 0;
        length = 0;
        for (int i = 2; i < 10; i++) length = length << 8 | at[i];
        head = 10;
    }
    if (size < head + length) return 0;
    switch (at[0] & 0x0f) {
    case 8:
        lose(c);
        break;
    case 9:
        put_frame(c, 10, at + head, length);
        break;
    case 10:
        break;
    default:
        if (c->eio && length == 1 && at[head] == '2') {
            put_frame(c, 1, (const unsigned char *)"3", 1);
            break;
        }
        take_payload(c, at + head, length, now);
        if (c->state == GREETING) {
            c->seen++;
            if (put_script(c)) greeted(c);
        }
    }
    return head + length;
}

static size_t take_response(struct conn *c, const unsigned char *at, size_t size) {
    const unsigned char *end = memmem(at, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (size < 12 || memcmp(at + 9, "101", 3)) {
        if (!failed) fprintf(stderr, "refused: %.*s\n", (int)(end - at), at);
        lose(c);
    } else {
        c->state = GREETING;
        if (put_script(c)) greeted(c);
    }
    return (size_t)(end - at) + 4;
}

static void receive(struct conn *c) {
    size_t size = c->rest_size, at = 0, used = 1;
    if (size) memcpy(buffer, c->rest, size);
    ssize_t got = recv(c->fd, buffer + size, READ_BYTES - size, 0);
    uint64_t now = now_ns();
    reads++;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        lose(c);
        return;
    }
    size += (size_t)got;
    while (c->state != CLOSED && at < size && used) {
        used = c->state == UPGRADING ? take_response(c, buffer + at, size - at)
                                     : take_frame(c, buffer + at, size - at, now);
        at += used;
    }
    if (c->state == CLOSED) return;
    c->rest_size = size - at;
    if (c->rest_size) {
        c->rest = realloc(c->rest, c->rest_size);
        memcpy(c->rest, buffer + at, c->rest_size);
    } else if (c->rest) {
        free(c->rest);
        c->rest = NULL;
    }
}

static void on_event(struct conn *c, uint32_t events) {
    if (c->state == CLOSED) return;
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            if (!failed) fprintf(stderr, "port %d: %s\n", c->port, strerror(error));
            lose(c);
        } else {
            upgrade(c);
        }
    } else if (c->stalled) {
        if (events & (EPOLLHUP | EPOLLERR)) lose(c);
    } else {
        receive(c);
    }
}

/* -- commands ---------------------------------------------------------------------------------- */

static void read_list(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file) die(path);
    while (getline(&line, &room, file) > 0) {
        char *rest = strdup(line), *field[FIELDS] = {0};
        int fields = 0;
        rest[strcspn(rest, "\n")] = 0;
        while (fields < FIELDS && (field[fields] = strsep(&rest, "\t"))) fields++;
        if (total == MAX_CONNS) die("too many connections");
        struct conn *c = &conns[total++];
        memset(c, 0, sizeof *c);
        c->port = atoi(field[0]);
        c->browser = (uint32_t)atol(field[1]);
        c->path = field[2];
        c->subprotocol = field[3];
        c->rcvbuf = atoi(field[4]);
        c->ready_after = atoi(field[5]);
        c->eio = !strcmp(field[6], "eio");
        for (int i = 7; i < fields && c->sends < SENDS; i++) c->send[c->sends++] = field[i];
    }
    free(line);
    fclose(file);
}

static void close_all(void) {
    for (size_t i = 0; i < total; i++) close_conn(&conns[i]);
    total = next_to_open = in_flight = ready = failed = lost_conns = 0;
}

static void reset(uint32_t first, uint32_t to_come, uint32_t times) {
    first_number = first;
    messages = to_come;
    copies = times;
    counts = realloc(counts, (messages + 1) * sizeof *counts);
    memset(counts, 0, (messages + 1) * sizeof *counts);
    if (!latencies) latencies = malloc(MAX_LATENCIES * sizeof *latencies);
    deliveries = latency_count = extra = wrong = disordered = payload_bytes = reads = 0;
    first_at = last_at = churned = lost_conns = 0;
    for (size_t i = 0; i < total; i++) {
        conns[i].last_number = 0;
        conns[i].was_stalled = conns[i].stalled;
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile(double part) {
    if (!latency_count) return 0;
    return latencies[(size_t)(part * (double)(latency_count - 1))] / 1000.0;
}

static void report(void) {
    uint64_t missing = 0;
    double cpu = cpu_s(); /* before the sorting: that is no work of a browser */
    for (uint32_t i = 0; i < messages; i++) missing += copies - counts[i];
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    printf("{\"deliveries\":%llu,\"missing\":%llu,\"extra\":%llu,\"wrong\":%llu,"
           "\"disordered\":%llu,\"first_ns\":%llu,\"last_ns\":%llu,\"payload_bytes\":%llu,"
           "\"reads\":%llu,\"lost_connections\":%zu,\"churned\":%llu,\"ready\":%zu,\"p50_ms\":%.3f,"
           "\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"cpu_s\":%.6f}\n",
           (unsigned long long)deliveries, (unsigned long long)missing, (unsigned long long)extra,
           (unsigned long long)wrong, (unsigned long long)disordered, (unsigned long long)first_at,
           (unsigned long long)last_at, (unsigned long long)payload_bytes,
           (unsigned long long)reads, lost_conns, (unsigned long long)churned, ready,
           percentile(0.5), percentile(0.9), percentile(0.99), percentile(1), cpu);
}

static void stall(size_t from, size_t to) {
    for (size_t i = from; i < to && i < total; i++) {
        struct conn *c = &conns[i];
        if (c->state != READY) continue;
        c->stalled = c->was_stalled = 1;
        listen_to(c, 0, EPOLL_CTL_MOD);
    }
}

static void resume(void) {
    for (size_t i = 0; i < total; i++) {
        struct conn *c = &conns[i];
        if (c->state != CLOSED && c->stalled) listen_to(c, EPOLLIN, EPOLL_CTL_MOD);
        c->stalled = 0;
    }
}

static void obey(char *line) {
    char path[1024];
    unsigned long a = 0, b = 0, d = 0;
    double rate;
    if (sscanf(line, "open %1023s %lu", path, &a) == 2) {
        read_list(path);
        inflight_max = a;
        is_opening = 1;
        open_began = now_ns();
        return; /* answered when all are ready */
    }
    if (sscanf(line, "wait %lu %lu", &a, &b) == 2) {
        wait_for = a;
        wait_until = now_ns() + b * 1000000u;
        return;
    }
    if (sscanf(line, "reset %lu %lu %lu", &a, &b, &d) == 3) {
        reset((uint32_t)a, (uint32_t)b, (uint32_t)d);
    } else if (!strncmp(line, "report", 6)) {
        report();
        return;
    } else if (sscanf(line, "stall %lu %lu", &a, &b) == 2) {
        stall(a, b);
    } else if (!strncmp(line, "resume", 6)) {
        resume();
    } else if (sscanf(line, "churn %lf", &rate) == 1) {
        churn_per_s = rate;
        is_tracking = 1;
        churn_began = now_ns();
        churn_done = churned = 0;
    } else if (!strncmp(line, "close", 5)) {
        close_all();
    } else {
        fprintf(stderr, "unknown command: %s\n", line);
        exit(2);
    }
    printf("{\"cpu_s\":%.6f}\n", cpu_s());
}

static void go_on_opening(void) {
    while (next_to_open < total && in_flight < inflight_max) open_conn(&conns[next_to_open++]);
    if (next_to_open == total && !in_flight) {
        is_opening = 0;
        printf("{\"ready\":%zu,\"failed\":%zu,\"seconds\":%.6f,\"cpu_s\":%.6f}\n", ready, failed,
               (double)(now_ns() - open_began) / 1e9, cpu_s());
    }
}

static void go_on_churning(void) {
    double passed = (double)(now_ns() - churn_began) / 1e9;
    while ((double)churn_done < passed * churn_per_s) {
        struct conn *c = &conns[(size_t)rand() % total];
        churn_done++;
        churned++;
        if (c->state != READY) continue;
        close_conn(c);
        open_conn(c);
    }
}

static void check_waiting(void) {
    if (wait_until && (deliveries >= wait_for || now_ns() >= wait_until)) {
        wait_until = 0;
        printf("{\"deliveries\":%llu}\n", (unsigned long long)deliveries);
    }
}

/* Returns 0 at the end of the input. */
static int read_commands(void) {
    static char text[65536];
    static size_t size;
    ssize_t got = read(0, text + size, sizeof text - size - 1);
    char *end;
    if (got <= 0) return 0;
    size += (size_t)got;
    text[size] = 0;
    while ((end = strchr(text, '\n'))) {
        *end = 0;
        obey(text);
        size -= (size_t)(end + 1 - text);
        memmove(text, end + 1, size + 1);
    }
    return 1;
}

int main(void) {
    struct rlimit files;
    struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.ptr = NULL};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input)) die("epoll_ctl");
    for (;;) {
        int busy = wait_until != 0 || churn_per_s > 0;
        int count = epoll_wait(epoll_fd, events, EVENTS, busy ? 5 : is_opening ? 100 : -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) on_event(events[i].data.ptr, events[i].events);
            else if (!read_commands()) return 0;
        }
        if (is_opening) go_on_opening();
        if (churn_per_s > 0) go_on_churning();
        check_waiting();
    }
}
