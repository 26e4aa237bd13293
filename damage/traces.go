package damage

import (
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// A Trace is a call stack that a finding has, and whose it is.
type Trace struct {
	Name  string // "culprit allocated in"
	Stack heap.Stack
}

// Traces returns the call stacks of a finding in the order in which their code
// is worth a look. Whoever passed a wild pointer has done it; whoever noticed
// damage has not: there the allocation of the node whose user most likely did
// it comes first, and who noticed it last.
func Traces(f *heap.Finding) (all []Trace) {
	add := func(name string, s heap.Stack) {
		if len(s) > 0 {
			all = append(all, Trace{name, s})
		}
	}
	node := func(name string, n *heap.Node) {
		if n != nil {
			add(name, n.Stack)
		}
	}
	if f.Kind.WildPointer() {
		add("noticed in", f.Stack)
		add("first freed in", f.FirstFree)
		node("node allocated in", f.Subject)
		return all
	}
	node("culprit allocated in", f.Culprit)
	node("node in front allocated in", f.Previous)
	node("damaged node allocated in", f.Subject)
	add("noticed in", f.Stack)
	return all
}

// freeing are patterns of functions that free memory, or report what is wrong
// with it: whoever is to blame has called them.
var freeing = []string{
	"*BackTrace*", "OsMem*", "LOS_Mem*", "LOS_KernelFree",
	"free", "cfree", "_free_r", "__libc_free", "operator delete*", "_Zdl*", "_Zda*",
	"vPortFree", "kfree", "k_free", "k_heap_free", "rt_free", "heap_caps_free*", "multi_heap_free", "mm_free", "kmm_free", "umm_free",
}

// Blamed returns the index of the frame, innermost first, of a trace whose code
// is to be looked at: the first that does more than pass an allocation or a free
// on. It returns 0 if there is none.
func Blamed(frames []heap.Frame) int { return leak.Interesting(frames, freeing) }
