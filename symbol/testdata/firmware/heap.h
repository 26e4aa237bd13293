/* A heap as simple as can be, with what compilers like to inline. */
#ifndef HEAP_H
#define HEAP_H

typedef unsigned int u32;

struct node {
	struct node *next;
	u32 size;
	u32 owner;
};

extern u32 arena[1024];
extern u32 used;

static inline u32 align(u32 size, u32 to)
{
	return (size + to - 1) & ~(to - 1);
}

static inline __attribute__((always_inline)) int fits(u32 size)
{
	if (size > sizeof arena)
		return 0;
	return used + align(size, 8) <= sizeof arena;
}

static inline __attribute__((always_inline)) void *carve(u32 size)
{
	u32 *at;

	if (!fits(size))
		return 0;
	at = &arena[used / sizeof(u32)];
	used += align(size, 8);
	return at;
}

void *heap_alloc(u32 size);
void heap_free(void *p);
u32 checksum(const u32 *words, u32 count);
void queue_push(u32 value);
u32 queue_pop(void);
int sensor_read(u32 channel);
int shapes(int n);

#endif
