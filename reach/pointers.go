package reach

import (
	"context"
	"slices"
	"strconv"

	"github.com/heapwright/heapwright/heap"
)

// A Kind says where in a node a pointer points.
type Kind uint8

// The kinds of pointers.
const (
	ToPayload Kind = iota // to the start of the payload
	Inside                // into the payload
	ToHeader              // to the node's head
)

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case ToPayload:
		return "start of payload"
	case Inside:
		return "inside"
	case ToHeader:
		return "header"
	}
	return "kind " + strconv.Itoa(int(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A Pointer is a word that points into a node, and where it was found.
type Pointer struct {
	// Root names the root that holds the word; empty: it is in no root.
	Root string `json:"root,omitempty"`
	// Word is the address of the word; 0: it is the value of a root, such as a
	// register, and has none.
	Word heap.Addr `json:"word,omitempty"`
	// Holder is the start of the node that holds the word; 0: it is in none.
	Holder heap.Addr `json:"holder,omitempty"`
	// HolderState is what the holder is. Words in Free nodes, in the
	// Allocator's own memory, in the heads of nodes (Head is set) and Outside
	// of pools and roots keep nothing alive.
	HolderState State `json:"holder_state"`
	Head        bool  `json:"head,omitempty"`
	// Offset is that of the word from the start of its holder's payload, or of
	// the root's memory, in bytes; in a head it is negative.
	Offset int64 `json:"offset"`

	Value heap.Addr `json:"value"` // what the word holds
	Node  heap.Addr `json:"node"`  // the start of the node it points into
	Kind  Kind      `json:"kind"`
	// Into is where it points, from the start of the node's payload on, in
	// bytes; in a head it is negative.
	Into int64 `json:"into"`
}

// Live reports whether the word is one of those that a search follows.
func (p *Pointer) Live() bool {
	if p.Head {
		return false
	}
	switch p.HolderState {
	case Quarantined, Reachable, Unreferenced, Indirect:
		return true
	}
	return p.Root != ""
}

// target fills in what p points to, which is the entry k.
func (r *Result) target(p *Pointer, k uint32) {
	p.Node, p.Into = r.x.at[k], int64(p.Value-r.x.payload(k))
	switch {
	case p.Into > 0:
		p.Kind = Inside
	case p.Into < 0:
		p.Kind = ToHeader
	}
}

// maxPath bounds the steps of a path that are given.
const maxPath = 1 << 16

// Path returns a chain of pointers from a root to the node that addr lies in,
// as short as there are any: the first one is in a root, or in a range that
// could not be interpreted and counts as one; each other one is in the node
// that the one before it points to. Of a chain of more than 65,536 pointers,
// those in the middle are left out. It returns nil for nodes that are not
// reachable.
func (r *Result) Path(addr heap.Addr) (path []Pointer) {
	k, ok := r.x.find(addr)
	if !ok || r.x.state[k] != Reachable {
		return nil
	}
	length := 0
	for n, more := k, true; more; length++ {
		n, more = r.before(n)
	}
	for i := range length {
		src, _ := r.before(k)
		if i < maxPath/2 || i >= length-maxPath/2 {
			path = append(path, r.pointer(src, k))
		}
		k = src
	}
	slices.Reverse(path)
	return path
}

// before returns what the entry k was reached from, and whether that is a node
// which was reached itself.
func (r *Result) before(k uint32) (src uint32, reached bool) {
	src = r.link[k]
	return src, src&rootBit == 0 && r.x.state[src] == Reachable
}

// pointer returns the first word in src, a root or an entry, that points to the
// entry k.
func (r *Result) pointer(src, k uint32) (p Pointer) {
	if src&rootBit == 0 {
		p.Holder, p.HolderState = r.x.at[src], r.x.state[src]
		start := r.x.payload(src)
		r.first(heap.Span{Start: start, End: r.x.at[src+1]}, k, &p)
		p.Offset = int64(p.Word - start)
		return p
	}
	root := &r.roots[src&^rootBit]
	p.Root = root.Name
	if root.Span.Len() == 0 {
		p.Value = root.Value
		r.target(&p, k)
		return p
	}
	for _, s := range subtract(root.Span, r.x.spans()) {
		if r.first(s, k, &p) {
			break
		}
	}
	p.Offset = int64(p.Word - root.Span.Start)
	return p
}

// first finds the first word in s that points to the entry k.
func (r *Result) first(s heap.Span, k uint32, p *Pointer) (found bool) {
	r.each(s, k, func(at, value heap.Addr) bool {
		p.Word, p.Value = at, value
		found = true
		return false
	})
	r.target(p, k)
	return found
}

// each calls fn with the words in s that point to the entry k, until it returns
// false.
func (r *Result) each(s heap.Span, k uint32, fn func(at, value heap.Addr) bool) {
	var vals *[batch]uint64
	if s.Len() > 4*batch { // else clearing it takes longer than it saves
		vals = new([batch]uint64)
	}
	lo, size, w := uint64(r.x.at[k]), r.x.length(k), &r.words
	r.mem.pieces(s, func(at heap.Addr, b []byte) bool {
		for len(b) >= w.size {
			c := b[:min(len(b), chunk*w.stride+w.size-w.stride)]
			if vals == nil || w.sieve(c, vals, 0, lo, size) > 0 {
				for i := 0; i+w.size <= len(c); i += w.stride {
					if v := w.word(c[i:]); v-lo < size && !fn(at+heap.Addr(i), heap.Addr(v)) {
						return false
					}
				}
			}
			n := min(len(b), chunk*w.stride)
			at, b = at+heap.Addr(n), b[n:]
		}
		return true
	})
}

// spans returns those of the pools.
func (x *index) spans() []heap.Span {
	s := make([]heap.Span, len(x.regions))
	for i := range s {
		s[i] = x.regions[i].Span
	}
	return s
}

// PointersTo returns the words in all the memory, and the values of roots, that
// point into the node that addr lies in, whether they keep it alive or not: at
// most limit of them, those of roots without memory first, then in ascending
// order of address. A free node can be asked for as well. It goes over the whole
// memory, at about a GiB a second. more says that there are others; err is that
// of ctx when it ends, with what was found up to then.
func (r *Result) PointersTo(ctx context.Context, addr heap.Addr, limit int) (found []Pointer, more bool, err error) {
	k, ok := r.x.find(addr)
	if !ok {
		return nil, false, nil
	}
	add := func(p Pointer) bool {
		if len(found) >= limit {
			more = true
			return false
		}
		r.target(&p, k)
		found = append(found, p)
		return true
	}
	for i := range r.roots {
		root := &r.roots[i]
		if root.Span.Len() == 0 && uint64(root.Value-r.x.at[k]) < r.x.length(k) && !add(Pointer{Root: root.Name, Value: root.Value}) {
			return found, more, nil
		}
	}
	for _, s := range r.mem.spans {
		for at := s.Addr; len(s.Bytes) > 0 && at <= last(&s) && at >= s.Addr; at += pace {
			if ctx.Err() != nil {
				return found, true, context.Cause(ctx)
			}
			part := heap.Span{Start: at, End: at + min(pace, last(&s)-at+1) + r.mem.size - 1}
			if part.End < part.Start {
				part.End = ^heap.Addr(0)
			}
			r.each(part, k, func(word, value heap.Addr) bool {
				if word-at >= pace {
					return true // of the next part
				}
				return add(r.where(word, value))
			})
			if more {
				return found, more, nil
			}
		}
	}
	return found, more, nil
}

// where describes where a word lies.
func (r *Result) where(word, value heap.Addr) Pointer {
	p := Pointer{Word: word, Value: value}
	k, ok := r.x.find(word)
	if !ok {
		for i := range r.roots {
			if s := r.roots[i].Span; word >= s.Start && word < s.End {
				p.Root, p.Offset = r.roots[i].Name, int64(word-s.Start)
				break
			}
		}
		return p
	}
	p.Holder, p.HolderState = r.x.at[k], r.x.state[k]
	p.Offset = int64(word - r.x.payload(k))
	p.Head = p.Offset < 0
	return p
}
