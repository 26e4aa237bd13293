// A program with a heap like that of LiteOS 5.0 built with LEAKCHECK and
// HEAD_BACKUP, as far as memory that is never freed needs it. It keeps some
// nodes, loses some, and crashes: with "task" on a stack that lies in the heap,
// with "shared" while it shares memory, which is in no core, with a number after
// one of its buffers was written so many bytes past its end.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

typedef struct LIST { struct LIST *pstPrev, *pstNext; } LIST;
typedef struct {
	union { LIST freeNodeInfo; struct { uint32_t magic; uint16_t taskId, moduleId; void *unused; }; };
	void *preNode;
	uint32_t gapSize;
	uintptr_t checksum, linkReg[3];
	uint32_t reserve2, sizeAndFlag;
} LosMemCtlNode;
typedef struct { LosMemCtlNode backupNode, selfNode; } LosMemDynNode;
typedef struct { void *pool; uint32_t poolSize; LIST lists[26]; } Head;

#define SIZE (1 << 18)
static unsigned char memory[SIZE] __attribute__((aligned(64)));
uint8_t *m_aucSysMem1 = memory;
static LosMemDynNode *here, *before;
static int allocated;

static void seal(LosMemCtlNode *c) {
	uintptr_t a, b;
	memcpy(&a, c, sizeof a);
	memcpy(&b, (char *)c + sizeof a, sizeof b);
	c->checksum = a ^ b ^ (uintptr_t)c->preNode ^ c->gapSize ^ c->sizeAndFlag ^ 0xDEADBEEF;
}

static void backup(LosMemDynNode *of, LosMemDynNode *in) {
	in->backupNode = of->selfNode;
	memset(in->backupNode.linkReg, 0, sizeof in->backupNode.linkReg);
}

static void place(LosMemDynNode *n, uint32_t size, int used, int task) {
	memset(n, 0, sizeof *n);
	if (used) {
		n->selfNode.magic = ~(uintptr_t)&n->selfNode;
		n->selfNode.taskId = task;
	}
	n->selfNode.preNode = before;
	n->selfNode.sizeAndFlag = size | (used ? 1u << 31 : 0);
}

__attribute__((noinline)) void *LOS_MemAlloc(uint32_t size, int task, void *caller) {
	LosMemDynNode *n = here;
	allocated++;
	size = (size + sizeof *n + 7) & ~7u;
	place(n, size, 1, task);
	n->selfNode.linkReg[0] = (uintptr_t)__builtin_return_address(0);
	n->selfNode.linkReg[1] = (uintptr_t)caller;
	seal(&n->selfNode);
	backup(n, before);
	before = n;
	here = (void *)((char *)n + size);
	return n + 1;
}
#define NEW(size, task) LOS_MemAlloc(size, task, __builtin_return_address(0))

struct item { struct item *next; void *data; };
struct item *g_list;
void *g_middle[4];

__attribute__((noinline)) void keep(void) {
	struct item *i = NEW(sizeof *i, 1);
	i->next = g_list;
	i->data = NEW(100, 1);
	g_list = i;
}

__attribute__((noinline)) void keep_inside(int k) { g_middle[k] = (char *)NEW(300, 3) + 64; }

/* A list of three is forgotten, its first item is the head of what is lost. */
__attribute__((noinline)) void lose_list(void) {
	struct item *list = 0;
	for (int k = 0; k < 3; k++) {
		struct item *i = NEW(sizeof *i, 2);
		i->next = list;
		list = i;
	}
}

/* Two point to each other, and nothing to them. */
__attribute__((noinline)) void lose_circle(void) {
	struct item *a = NEW(sizeof *a, 4), *b = NEW(sizeof *b, 4);
	a->next = b;
	b->next = a;
}

/* finish makes one free node of what is left. */
static void finish(void) {
	Head *h = (void *)memory;
	LosMemDynNode *f = here, *end = (void *)(memory + SIZE - sizeof *end);
	place(f, (char *)end - (char *)f, 0, 0);
	LIST *list = &h->lists[31 - __builtin_clz(f->selfNode.sizeAndFlag) - 4];
	f->selfNode.freeNodeInfo.pstPrev = f->selfNode.freeNodeInfo.pstNext = list;
	list->pstPrev = list->pstNext = &f->selfNode.freeNodeInfo;
	seal(&f->selfNode);
	backup(f, before);
	before = f;
	place(end, sizeof *end, 1, 0);
	seal(&end->selfNode);
	backup(end, f);
	backup((void *)(h + 1), end);
	printf("%d\n", allocated);
	fflush(stdout);
}

static int overflow = -1;

/* One node is known to the stack alone, one to a register. */
__attribute__((noinline)) void crash(void) {
	struct item *volatile on_stack = NEW(777, 5);
	struct item *in_register = NEW(888, 5);
	finish();
	if (overflow >= 0) memset((char *)g_middle[1] - 64, 'Z', 304 + overflow);
#ifdef __x86_64__
	register struct item *rbx __asm__("rbx") = in_register;
	in_register = 0;
	__asm__ volatile("ud2" : : "r"(rbx));
#endif
	abort();
	(void)on_stack, (void)in_register;
}

__attribute__((noinline)) void wipe(void) {
	volatile char stack[8192];
	memset((char *)stack, 0, sizeof stack);
}

static ucontext_t of_main, of_task;

int main(int argc, char **argv) {
	struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_CORE, &r);
	Head *h = (void *)memory;
	h->pool = h;
	h->poolSize = SIZE;
	for (int i = 0; i < 26; i++) h->lists[i].pstPrev = h->lists[i].pstNext = &h->lists[i];
	here = (void *)(h + 1);
	before = (void *)(memory + SIZE - sizeof *before);
	for (int i = 0; i < 10; i++) {
		keep();
		lose_list();
		lose_circle();
	}
	for (int i = 0; i < 4; i++) keep_inside(i);
	keep();
	wipe();
	if (argc > 1 && strcmp(argv[1], "task") == 0) {
		getcontext(&of_task);
		of_task.uc_stack.ss_size = 64 << 10;
		of_task.uc_stack.ss_sp = NEW(64 << 10, 6);
		makecontext(&of_task, crash, 0);
		swapcontext(&of_main, &of_task);
	}
	if (argc > 1 && strcmp(argv[1], "shared") == 0) {
		int file = open("shared", O_RDWR | O_CREAT, 0600); // what has no name is dumped
		if (ftruncate(file, 4096) || mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED) return 1;
	} else if (argc > 1) {
		overflow = atoi(argv[1]);
	}
	crash();
}
