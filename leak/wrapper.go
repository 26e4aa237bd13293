package leak

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// wrappers are the functions that only pass an allocation on, by name. Names
// with __wrap_ or __real_ in front (ld --wrap) are the same functions.
var wrappers = wordSet(`
	malloc calloc realloc reallocarray reallocf memalign aligned_alloc posix_memalign valloc pvalloc zalloc
	strdup strndup wcsdup asprintf vasprintf
	_malloc_r _calloc_r _realloc_r _memalign_r _strdup_r _strndup_r _asprintf_r _vasprintf_r
	__malloc __calloc __realloc __libc_malloc __libc_calloc __libc_realloc __libc_memalign
	xmalloc xcalloc xrealloc xzalloc xstrdup xstrndup
	g_malloc g_malloc0 g_realloc g_try_malloc g_strdup g_strndup

	LOS_MemAlloc LOS_MemAllocAlign LOS_MemRealloc LOS_MemCalloc LOS_MemMalloc LOS_KernelMalloc LOS_KernelMallocAlign
	LOS_KernelRealloc OsMemAlloc OsMemAllocAlign OsMemRealloc OsMemAllocWithCheck OsMemReAllocSmaller

	kmalloc kzalloc kcalloc krealloc kstrdup kmemdup __kmalloc vmalloc vzalloc kvmalloc kvzalloc

	pvPortMalloc pvPortCalloc pvPortRealloc pvPortMallocAligned pvPortMallocStack

	heap_caps_malloc heap_caps_calloc heap_caps_realloc heap_caps_aligned_alloc heap_caps_aligned_calloc
	heap_caps_malloc_prefer heap_caps_calloc_prefer heap_caps_realloc_prefer heap_caps_malloc_default
	heap_caps_realloc_default heap_caps_malloc_base heap_caps_calloc_base heap_caps_realloc_base
	heap_caps_aligned_alloc_base heap_caps_aligned_alloc_default trace_malloc trace_realloc
	multi_heap_malloc multi_heap_realloc multi_heap_aligned_alloc multi_heap_aligned_alloc_offs

	rt_malloc rt_calloc rt_realloc rt_malloc_align rt_memheap_alloc rt_memheap_realloc rt_smem_alloc rt_smem_realloc
	rt_slab_alloc rt_slab_realloc rt_strdup

	k_malloc k_calloc k_realloc k_aligned_alloc k_heap_alloc k_heap_calloc k_heap_realloc k_heap_aligned_alloc
	sys_heap_alloc sys_heap_aligned_alloc sys_heap_realloc z_heap_aligned_alloc z_alloc_helper z_thread_aligned_alloc
	z_impl_k_malloc

	mm_malloc mm_calloc mm_zalloc mm_realloc mm_memalign kmm_malloc kmm_calloc kmm_zalloc kmm_realloc kmm_memalign
	kumm_malloc kumm_calloc kumm_zalloc kumm_realloc kumm_memalign umm_malloc umm_calloc umm_zalloc umm_realloc
	umm_memalign group_malloc group_zalloc lib_malloc lib_zalloc lib_calloc lib_realloc

	tx_byte_allocate _tx_byte_allocate _txe_byte_allocate mem_malloc mem_calloc

	_Znwj _Znwm _Znaj _Znam

	__rust_alloc __rust_alloc_zeroed __rust_realloc __rg_alloc __rg_alloc_zeroed __rg_realloc __rdl_alloc
	__rdl_alloc_zeroed __rdl_realloc exchange_malloc
`)

// wrapperGlobs are those whose names vary: C++ and Rust print parameters and
// types, and this module's pool is also called through its helpers.
var wrapperGlobs = []string{
	"operator new*",
	"_Znw*", "_Zna*", // the same with alignment or nothrow
	"std::*", "__gnu_cxx::*", "void std::*", "void* std::*",
	"alloc::*", "<alloc::*", "_ZN5alloc*", "<*as core::alloc::*", "hashbrown::raw::*",
	"__rustc*::__r*_alloc*", "__rustc*::__r*_realloc*",
	"github.com/heapwright/heapwright.(?Pool).*",
	"github.com/heapwright/heapwright.AllocSlice*",
}

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// CheckWrapper reports what is wrong with a pattern for Options.Wrappers or
// Interesting. It is one glob of the kind that Pattern explains: "app_malloc",
// "*_alloc".
func CheckWrapper(pattern string) error {
	p, err := ParsePattern(pattern)
	if err != nil {
		return err
	}
	if len(p.globs) > 1 {
		return fmt.Errorf("%q is a chain: name one function, such as %s", pattern, p.globs[0])
	}
	return nil
}

// Interesting returns the index of the first frame, innermost first, whose
// function does more than passing an allocation on: it is neither a well-known
// allocation function of a C, C++ or Rust library or of an operating system
// nor matched by one of the patterns (see CheckWrapper; others match nothing).
// It returns 0 if there is no such frame. Inlined frames are frames like
// others; one without a function is no wrapper.
func Interesting(frames []heap.Frame, patterns []string) int {
	for i := range frames {
		if !wrapper(&frames[i], patterns) {
			return i
		}
	}
	return 0
}

func wrapper(f *heap.Frame, patterns []string) bool {
	if f.Function == "" {
		return false
	}
	name := uncloned(f.Function)
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__wrap_"), "__real_")
	if wrappers[name] {
		return true
	}
	for _, g := range wrapperGlobs {
		if matchGlob(g, name) {
			return true
		}
	}
	if len(patterns) == 0 {
		return false
	}
	n := frameNames(f)
	return slices.ContainsFunc(patterns, func(g string) bool {
		return len(g) <= maxPattern && n.match(strings.TrimSpace(g))
	})
}
