package leak

import (
	"fmt"
	"math/bits"
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

// site returns the site of a node of the snapshot.
func (g *grouper[S]) site(snap *heap.Snapshot, n *heap.Node) *S {
	k := append(append(g.key[:0], snap.Pool...), 0)
	for _, a := range n.Stack {
		k = appendNumber(k, uint64(a))
	}
	if len(n.Stack) == 0 {
		k = append(appendNumber(k, uint64(n.Owner)), sizeClass(n))
	}
	g.key = k
	if s, ok := g.byRaw[string(k)]; ok {
		return s
	}
	frames := Resolve(g.sym, n.Stack)
	if len(n.Stack) == 0 {
		frames = stackless(snap, n)
	}
	name := siteKey(snap.Pool, frames)
	s, ok := g.byKey[name]
	if !ok {
		s = g.create(snap.Pool, frames, n.Stack)
		g.byKey[name] = s
		g.all = append(g.all, s)
	}
	if len(g.byRaw) >= maxCached {
		clear(g.byRaw)
	}
	g.byRaw[string(k)] = s
	return s
}

// A Finder finds the call site of a node: nodes with one chain of functions and
// lines are of one site, and those without a call stack that have owner and
// size in common. It must not be used from several goroutines at a time.
type Finder struct{ sites *grouper[Site] }

// NewFinder returns a finder of the sites of g, whose stacks sym resolves as it
// did for g. Without g, or for nodes that g knows nothing of, it makes sites of
// which nothing but Pool, Frames and Stack is known.
func NewFinder(g *Growth, sym heap.Symbolizer) *Finder {
	sites := newGrouper(sym, func(pool string, frames []heap.Frame, stack heap.Stack) *Site {
		return &Site{Pool: pool, Frames: frames, Stack: stack}
	})
	if g != nil {
		for i := range g.Sites {
			s := &g.Sites[i]
			sites.byKey[siteKey(s.Pool, s.Frames)] = s
		}
	}
	return &Finder{sites}
}

// Site returns the call site of a node of the snapshot: the same one for all
// its nodes, in g where g has it.
func (f *Finder) Site(snap *heap.Snapshot, n *heap.Node) *Site { return f.sites.site(snap, n) }

func appendNumber(b []byte, v uint64) []byte {
	return append(b, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// sizeClass returns the number of binary digits of a node's size, 0 if that is
// unknown.
func sizeClass(n *heap.Node) byte { return byte(bits.Len64(Bytes(n))) }

// noStack begins the name of a frame that stands for a stack that is not there.
const noStack = "[no stack"

// stackless stands for the call chain of a node that has none: what else
// nodes of one origin have in common is the owner, and roughly the size. It is
// empty if neither is known.
func stackless(snap *heap.Snapshot, n *heap.Node) []heap.Frame {
	var words []string
	if owner := snap.OwnerName(n.Owner); owner != "" {
		words = append(words, owner)
	}
	if class := sizeClass(n); class > 0 {
		least := uint64(1) << (class - 1)
		words = append(words, fmt.Sprintf("%d to %d bytes", least, least+(least-1)))
	}
	if len(words) == 0 {
		return nil
	}
	return []heap.Frame{{Function: noStack + ": " + strings.Join(words, ", ") + "]"}}
}

// Resolve returns the frames of a whole stack, innermost first.
func Resolve(sym heap.Symbolizer, stack heap.Stack) []heap.Frame {
	frames := make([]heap.Frame, 0, len(stack))
	for _, lr := range stack {
		frames = append(frames, sym.Frames(lr)...)
	}
	return frames
}

// siteKey is equal for what is one call site.
func siteKey(pool string, frames []heap.Frame) string { return pool + "\x00" + chainKey(frames) }

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
