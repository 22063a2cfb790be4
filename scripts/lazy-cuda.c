/* Stands in for one of CUDA's shared libraries when linking, and loads it when it is first called.
 *
 * candle links CUDA's shared libraries, so its programs do not start where one is missing, and the
 * driver's is missing wherever there is no GPU. Here every function jumps through a table, as in a
 * procedure linkage table. The first call replaces the entry by the function's address in the real
 * library or, where that cannot be loaded, by a function that returns the library's own error code.
 * scripts/build-cuda.sh compiles this file once for each library, with
 *
 *   LIBRARY    the name of the shared library, such as "libcuda.so.1"
 *   DIRECTORY  where it lies in case the dynamic linker does not find it, or ""
 *   NEEDS      a library that it will load from there in turn, or ""
 *   MISSING    the error code
 *   QUIET      1 if the caller will tell of the error, 0 to tell of it here
 *   FUNCTIONS  a file with a line FUNCTION(name) for each function that returns an error code,
 *              MESSAGE(name) for one that gives the text of an error code by its second argument,
 *              and OTHER(name) for each that returns something else
 *
 * For x86-64 and ELF.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* Why the library cannot be loaded. */
static char reason[512] = LIBRARY;

static int missing(void) { return MISSING; }

__attribute__((unused)) static int missing_message(int code, const char **text) {
    (void)code;
    *text = reason;
    return 0;
}

__attribute__((unused)) static const char *missing_other(void) { return reason; }

#define FUNCTION(name) {#name, (void *)missing},
#define MESSAGE(name) {#name, (void *)missing_message},
#define OTHER(name) {#name, (void *)missing_other},
static const struct {
    const char *name;
    void *missing;
} functions[] = {
#include FUNCTIONS
};
#undef FUNCTION
#undef MESSAGE
#undef OTHER

/* A function jumps to its entry of lazy_table; at first that is its own line 0, which gives its
 * index to lazy_first. */
__asm__(".set lazy_index, 0\n"
        ".data\n"
        ".balign 8\n"
        "lazy_table:\n"
        ".text\n");
#define FUNCTION(name)                                     \
    __asm__(".balign 16\n"                                 \
            ".globl " #name "\n"                           \
            ".hidden " #name "\n"                          \
            ".type " #name ", @function\n"                 \
            #name ":\n"                                    \
            "    jmp *lazy_table+8*lazy_index(%rip)\n"     \
            "0:  push $lazy_index\n"                       \
            "    jmp lazy_first\n"                         \
            ".data\n"                                      \
            "    .quad 0b\n"                               \
            ".text\n"                                      \
            ".set lazy_index, lazy_index+1\n");
#define MESSAGE FUNCTION
#define OTHER FUNCTION
#include FUNCTIONS
#undef FUNCTION
#undef MESSAGE
#undef OTHER

/* Looks up the address, with the arguments kept meanwhile. The return address, the index, seven
 * registers and the 136 bytes leave the stack aligned to 16 for the call. */
__asm__("lazy_first:\n"
        "    push %rax\n"
        "    push %rdi\n"
        "    push %rsi\n"
        "    push %rdx\n"
        "    push %rcx\n"
        "    push %r8\n"
        "    push %r9\n"
        "    sub $136, %rsp\n"
        "    movups %xmm0, (%rsp)\n"
        "    movups %xmm1, 16(%rsp)\n"
        "    movups %xmm2, 32(%rsp)\n"
        "    movups %xmm3, 48(%rsp)\n"
        "    movups %xmm4, 64(%rsp)\n"
        "    movups %xmm5, 80(%rsp)\n"
        "    movups %xmm6, 96(%rsp)\n"
        "    movups %xmm7, 112(%rsp)\n"
        "    mov 192(%rsp), %rdi\n"
        "    call lazy_resolve\n"
        "    mov %rax, %r11\n"
        "    movups (%rsp), %xmm0\n"
        "    movups 16(%rsp), %xmm1\n"
        "    movups 32(%rsp), %xmm2\n"
        "    movups 48(%rsp), %xmm3\n"
        "    movups 64(%rsp), %xmm4\n"
        "    movups 80(%rsp), %xmm5\n"
        "    movups 96(%rsp), %xmm6\n"
        "    movups 112(%rsp), %xmm7\n"
        "    add $136, %rsp\n"
        "    pop %r9\n"
        "    pop %r8\n"
        "    pop %rcx\n"
        "    pop %rdx\n"
        "    pop %rsi\n"
        "    pop %rdi\n"
        "    pop %rax\n"
        "    add $8, %rsp\n"
        "    jmp *%r11\n");

extern __attribute__((visibility("hidden"))) void *lazy_table[];

static void *load(void) {
    void *found = dlopen(LIBRARY, RTLD_NOW);
    if (found == NULL) {
        const char *error = dlerror();
        snprintf(reason, sizeof reason, "%s", error != NULL ? error : LIBRARY);
    }
    if (found == NULL && DIRECTORY[0] != '\0') {
        if (NEEDS[0] != '\0')
            dlopen(DIRECTORY "/" NEEDS, RTLD_NOW);
        found = dlopen(DIRECTORY "/" LIBRARY, RTLD_NOW);
    }
    if (found == NULL && !QUIET)
        fprintf(stderr, "%s\n", reason);
    return found;
}

static void *handle;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load_once(void) { handle = load(); }

__attribute__((used)) static void *lazy_resolve(unsigned long index) {
    void *address = NULL;
    pthread_once(&once, load_once);
    if (handle != NULL) {
        address = dlsym(handle, functions[index].name);
        if (address == NULL)
            fprintf(stderr, "%s has no %s\n", LIBRARY, functions[index].name);
    }
    if (address == NULL)
        address = functions[index].missing;
    __atomic_store_n(&lazy_table[index], address, __ATOMIC_RELEASE);
    return address;
}
