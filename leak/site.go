package leak

import (
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// maxCached bounds the raw stacks of which a grouper remembers the site.
const maxCached = 1 << 20

// A grouper finds the site of a stack, and resolves each stack once.
type grouper[S any] struct {
	sym    heap.Symbolizer
	byRaw  map[string]*S // pool and addresses
	byKey  map[string]*S // pool and functions
	all    []*S
	create func(pool string, frames []heap.Frame, stack heap.Stack) *S
	key    []byte
}

func newGrouper[S any](sym heap.Symbolizer, create func(string, []heap.Frame, heap.Stack) *S) *grouper[S] {
	return &grouper[S]{sym: sym, byRaw: map[string]*S{}, byKey: map[string]*S{}, create: create}
}

func (g *grouper[S]) site(pool string, stack heap.Stack) *S {
	k := append(append(g.key[:0], pool...), 0)
	for _, a := range stack {
		k = append(k, byte(a>>56), byte(a>>48), byte(a>>40), byte(a>>32), byte(a>>24), byte(a>>16), byte(a>>8), byte(a))
	}
	g.key = k
	if s, ok := g.byRaw[string(k)]; ok {
		return s
	}
	frames := Resolve(g.sym, stack)
	name := pool + "\x00" + chainKey(frames)
	s, ok := g.byKey[name]
	if !ok {
		s = g.create(pool, frames, stack)
		g.byKey[name] = s
		g.all = append(g.all, s)
	}
	if len(g.byRaw) >= maxCached {
		clear(g.byRaw)
	}
	g.byRaw[string(k)] = s
	return s
}

// Resolve returns the frames of a whole stack, innermost first.
func Resolve(sym heap.Symbolizer, stack heap.Stack) []heap.Frame {
	frames := make([]heap.Frame, 0, len(stack))
	for _, lr := range stack {
		frames = append(frames, sym.Frames(lr)...)
	}
	return frames
}

// chainKey is equal for chains that are one call site, and orders sites by
// name.
func chainKey(frames []heap.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		if f.Function == "" {
			b.WriteString(f.Addr.String())
		} else {
			b.WriteString(f.Function)
		}
		if f.File != "" {
			b.WriteByte(1)
			b.WriteString(f.File)
			b.WriteByte(1)
			b.WriteString(strconv.Itoa(f.Line))
		}
		b.WriteByte(0)
	}
	return b.String()
}
